//go:build lab

package e2e

import (
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

func TestProbe(t *testing.T) {
	p := newProgram(t)
	d := lab.StartTestDomain(t, lab.Options{Name: "probe", Disks: five()})
	sh := func(script string) {
		out, err := lab.Command(t.Context(), "bash", "-c", "exec 2>&1; "+script, "bash", d.Name())
		t.Logf("%s\n%s\n%v", script, out, err)
	}
	sh(`virsh dumpxml $1 | sed -n '/<disk/,/<\/disk>/p;/<seclabel/,/seclabel>/p'; virsh dumpxml --inactive $1 > /tmp/before.xml; virsh dumpxml $1 > /tmp/before-live.xml; df -h /var/lib /tmp; ps -eo user,args | grep [q]emu-system | cut -c1-60`)
	sh(`virsh -q qemu-monitor-command $1 '{"execute":"query-block"}' | cut -c 1-3000`)
	o := p.run("-v", "snapshot-create-as", d.Name(), "s1", "--shield")
	t.Logf("%s\n%s", o.Stdout, o.Stderr)
	sh(`virsh dumpxml --inactive $1 | diff /tmp/before.xml -; virsh dumpxml $1 | diff /tmp/before-live.xml -`)
	sh(`virsh -q qemu-monitor-command $1 '{"execute":"query-block-jobs"}'; virsh -q qemu-monitor-command $1 '{"execute":"query-named-block-nodes","arguments":{"flat":true}}' | tr , '\n' | grep 'node-name\|"file"'; ls -lR /tmp/*/*/shield`)
	o = p.run("-v", "snapshot-create-as", d.Name(), "s2")
	t.Logf("%s\n%s", o.Stdout, o.Stderr)
	o = p.run("-v", "snapshot-create-as", d.Name(), "s3", "--hold")
	t.Logf("%s\n%s", o.Stdout, o.Stderr)
	o = p.run("recover", d.Name())
	t.Logf("%s\n%s", o.Stdout, o.Stderr)
}
