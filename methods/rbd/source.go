package rbd

import (
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// Source implements methods.Sourcer. It asks nobody and needs no librbd. There is no <auth> in it: the record
// has no reference to libvirt's secret. Whoever attaches the source adds the domain's own.
func (m *Method) Source(_ context.Context, ref methods.Ref) (methods.BackupSource, error) {
	p, err := recorded(ref)
	if err != nil {
		return methods.BackupSource{}, err
	}
	text, err := xml.Marshal(sourceElement(p))
	if err != nil {
		return methods.BackupSource{}, fmt.Errorf("write source of %s: %w", p, err)
	}
	snapshot := p.RBDImage
	snapshot.Snapshot = p.snap
	return methods.BackupSource{XML: string(text), URI: uri(p), Format: "raw", Source: methods.Source{RBD: &snapshot}}, nil
}

type source struct {
	XMLName  xml.Name `xml:"source"`
	Protocol string   `xml:"protocol,attr"`
	Name     string   `xml:"name,attr"`
	Hosts    []host   `xml:"host"`
	Snapshot named    `xml:"snapshot"`
	Config   *config  `xml:"config"`
}

type host struct {
	Name string `xml:"name,attr"`
	Port string `xml:"port,attr,omitempty"`
}

type named struct {
	Name string `xml:"name,attr"`
}

type config struct {
	File string `xml:"file,attr"`
}

func sourceElement(p place) source {
	s := source{Protocol: "rbd", Name: p.RBDImage.String(), Snapshot: named{p.snap}}
	for _, monitor := range p.Monitors {
		s.Hosts = append(s.Hosts, hostElement(monitor))
	}
	if p.Config != "" {
		s.Config = &config{p.Config}
	}
	return s
}

func hostElement(monitor string) host {
	name, port, err := net.SplitHostPort(monitor)
	if err != nil {
		return host{Name: strings.Trim(monitor, "[]")}
	}
	return host{name, port}
}

// uri is what QEMU's rbd driver parses: parts end at a colon, and a backslash takes any meaning from what
// follows it.
func uri(p place) string {
	var b strings.Builder
	b.WriteString("rbd:" + escape(p.Pool) + "/")
	if p.Namespace != "" {
		b.WriteString(escape(p.Namespace) + "/")
	}
	b.WriteString(escape(p.Image) + "@" + p.snap)
	for _, option := range []struct{ key, value string }{
		{"id", p.User},
		{"mon_host", strings.Join(p.Monitors, ",")},
		{"conf", p.Config},
	} {
		if option.value != "" {
			b.WriteString(":" + option.key + "=" + escape(option.value))
		}
	}
	return b.String()
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `@`, `\@`, `=`, `\=`).Replace(s)
}
