package nightly

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const twoPlaces = "web1 replicate=file:/replicas,ssh://root@[::1]:22/replicas keep-last=1 replica-keep-daily=7\n"

func replicated(place, snapshot string) string {
	return fmt.Sprintf("snapshot-replicate --to %s %s %s", place, uuidOf(0), snapshot)
}

func TestSnapshotGoesToEveryPlace(t *testing.T) {
	n := newNight(t, twoPlaces, "web1")
	want(t, n.run(), 0, "ok      web1", "2 replicated, 2 deleted, 2 replicas deleted")
	const file, ssh = "file:/replicas", "ssh://root@[::1]:22/replicas"
	n.wantCalls(created+uuidOf(0)+" NAME",
		"replica-list "+file+" "+uuidOf(0), replicated(file, "NAME"), "replica-prune --keep-daily 7 "+file+" "+uuidOf(0),
		"replica-list "+ssh+" "+uuidOf(0), replicated(ssh, "NAME"), "replica-prune --keep-daily 7 "+ssh+" "+uuidOf(0),
		"snapshot-prune --keep-last 1 "+uuidOf(0))
	if d := n.report().Domains[0]; len(d.Replicated) != 2 || d.Replicated[1].To != ssh || d.Replicated[1].Snapshot != d.Snapshot {
		t.Errorf("the report is %+v", d)
	}
}

func TestWithoutARuleForReplicasNoneIsDeleted(t *testing.T) {
	n := newNight(t, "* replicate=file:/replicas keep-last=1\n", "web1")
	want(t, n.run(), 0)
	if calls := n.said(); len(calls) != 4 || strings.Contains(strings.Join(calls, " "), "replica-prune") {
		t.Errorf("called was %q", calls)
	}
}

// TestWhatWasCutIsFinishedFirst: of what an earlier night has begun over there, that whose snapshot is here.
func TestWhatWasCutIsFinishedFirst(t *testing.T) {
	n := newNight(t, "* replicate=file:/replicas\n", "web1")
	n.answers("replica-list file:/replicas", reply{Out: `[{"state":"complete","snapshot":"s1"},{"state":"inbound","snapshot":"s2"},{"state":"broken","snapshot":"s3"}]`})
	want(t, n.run(), 0, "2 replicated")
	cut := []string{"snapshot-info " + uuidOf(0) + " s2", replicated("file:/replicas", "s2"), replicated("file:/replicas", "NAME")}
	if calls := n.said(); !slices.Equal(calls[2:], cut) {
		t.Errorf("called was %q", calls)
	}

	for _, gone := range []reply{failure(3, "there is no such snapshot"), {Out: `{"state":"pending-delete"}`}} {
		n.answers("snapshot-info "+uuidOf(0), gone)
		want(t, n.run(), 0, "1 replicated")
	}
	n.answers("snapshot-info " + uuidOf(0))
	n.answers("snapshot-replicate "+uuidOf(0), failure(1, "disk full"))
	want(t, n.run(), 1, "replicate at file:/replicas: disk full (exit 1)")
}

func TestPlaceThatFailsDoesNotStopTheOthers(t *testing.T) {
	n := newNight(t, twoPlaces, "web1")
	n.answers("replica-list file:/replicas", failure(1, "no such directory"))
	want(t, n.run(), 1, "FAILED  web1", "replicate at file:/replicas: no such directory (exit 1)")
	if calls := n.said(); len(calls) != 6 || !strings.HasPrefix(calls[5], "snapshot-prune") {
		t.Errorf("called was %q", calls)
	}
	d := n.report().Domains[0]
	if d.OK || len(d.Replicated) != 1 || len(d.Errors) != 1 || d.Errors[0].Place != "file:/replicas" || d.Errors[0].Step != "replicate" {
		t.Errorf("the report is %+v", d)
	}
}

// TestUnfinishedWorkOfAReplicationIsRecovered: as that of a snapshot is.
func TestUnfinishedWorkOfAReplicationIsRecovered(t *testing.T) {
	n := newNight(t, "* replicate=file:/replicas\n", "web1")
	n.answers("snapshot-replicate "+uuidOf(0), failure(7, "unfinished"), reply{Out: `{"name":"n"}`})
	want(t, n.run(), 0, "unfinished work recovered first", "1 replicated")
}
