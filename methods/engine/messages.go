package engine

import (
	"bytes"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// What stands in params.
type (
	planParams struct {
		Disk methods.Disk `json:"disk"`
		ID   string       `json:"id"`
		Spec methods.Spec `json:"spec"`
		Like *methods.Ref `json:"like"`
	}
	refParams struct {
		Ref methods.Ref `json:"ref"`
	}
	refsParams struct {
		Refs []methods.Ref `json:"refs"`
	}
	diskParams struct {
		Disk methods.Disk `json:"disk"`
	}
	dropParams struct {
		Ref methods.Ref `json:"ref"`
		// Disk is null when it is gone.
		Disk      *methods.Disk `json:"disk"`
		Others    []methods.Ref `json:"others"`
		Abandoned bool          `json:"abandoned"`
	}
	changesParams struct {
		From methods.Ref  `json:"from"`
		To   *methods.Ref `json:"to"`
		Disk methods.Disk `json:"disk"`
	}
	revertParams struct {
		To     methods.Ref   `json:"to"`
		Disk   methods.Disk  `json:"disk"`
		Others []methods.Ref `json:"others"`
		Keep   *methods.Ref  `json:"keep"`
		Again  bool          `json:"again"`
	}
	readParams struct {
		Offset int64 `json:"offset"`
		Length int64 `json:"length"`
	}
)

// nothing is the params, or the answer, of a verb that needs none.
type nothing struct{}

// What stands in result. What must be there is a pointer, or must not be empty.
type (
	statAnswer struct {
		BytesUsed *int64 `json:"bytes_used"`
	}
	openAnswer struct {
		Size *int64 `json:"size"`
	}
	readAnswer struct {
		Data []byte `json:"data"`
		// Zeros stands for the whole length.
		Zeros bool `json:"zeros"`
	}
	changesAnswer struct {
		// Extents are offset and length each.
		Extents *[][2]int64 `json:"extents"`
	}
	claimAnswer struct {
		Rank *int   `json:"rank"`
		Why  string `json:"why"`
	}
	revertAnswer struct {
		BytesWritten *int64 `json:"bytes_written"`
	}
	listAnswer struct {
		Names *[]string `json:"names"`
	}
	dropPlanAnswer struct {
		NeededBy []string    `json:"needed_by"`
		Renamed  renamedRefs `json:"renamed"`
		Active   string      `json:"active"`
	}
	renamedRefs []renamedRef
	renamedRef  struct {
		Snapshot string `json:"snapshot"`
		Name     string `json:"name"`
		Origin   string `json:"origin"`
		Active   string `json:"active"`
	}
)

// maxRenamed is more snapshots than a disk has.
const maxRenamed = 16 << 10

// UnmarshalJSON counts first: an empty object takes many times its size.
func (r *renamedRefs) UnmarshalJSON(text []byte) error {
	if bytes.Count(text, []byte("{")) > maxRenamed {
		return fmt.Errorf("more than %d renamed snapshots", maxRenamed)
	}
	return decode(text, (*[]renamedRef)(r))
}

// plannedRef is what an engine says of a ref. Whose it is we know better.
type plannedRef struct {
	Name    string `json:"name"`
	Origin  string `json:"origin"`
	Mode    string `json:"mode"`
	Active  string `json:"active"`
	Lock    string `json:"lock"`
	Reserve int64  `json:"reserve"`
	Size    *int64 `json:"size"`
}

func (p plannedRef) check(moves bool) error {
	for _, err := range []error{
		checkText("name", p.Name, 1024), checkText("origin", p.Origin, 4096), checkActive(p.Active, moves),
		checkOptionalText("mode", p.Mode, 32), checkOptionalText("lock", p.Lock, 1024),
		checkSize("reserve", &p.Reserve), checkSize("size", p.Size),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p plannedRef) ref(engine string, req methods.PlanRequest) methods.Ref {
	ref := methods.Ref{
		Snapshot: req.ID, Method: engine, Mode: p.Mode, Disk: req.Disk,
		Origin: p.Origin, Name: p.Name, Active: p.Active, Reserve: p.Reserve, Size: *p.Size,
	}
	if p.Lock != "" {
		// Another engine's lock is another lock.
		ref.Lock = "engine " + engine + " " + p.Lock
	}
	return ref
}

func toDrop(req methods.DropRequest) dropParams {
	p := dropParams{Ref: req.Ref, Others: some(req.Others), Abandoned: req.Stage == methods.Abandoned}
	if req.Disk != (methods.Disk{}) {
		p.Disk = &req.Disk
	}
	return p
}

func toRevert(req methods.RevertRequest) revertParams {
	return revertParams{To: req.To, Disk: req.Disk, Others: some(req.Others), Keep: req.Keep, Again: req.Again}
}

// some is a list that is never null.
func some(refs []methods.Ref) []methods.Ref {
	if refs == nil {
		return []methods.Ref{}
	}
	return refs
}
