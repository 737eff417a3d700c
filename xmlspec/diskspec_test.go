package xmlspec

import (
	"errors"
	"strings"
	"testing"
)

func TestParseDiskSpec(t *testing.T) {
	tests := []struct{ spec, want string }{
		{"vda", "<disk name='vda'/>"},
		{"vda,snapshot=no", "<disk name='vda' snapshot='no'/>"},
		{"vda,snapshot=internal", "<disk name='vda' snapshot='internal'><diskSnapshot method='qemu' mode='internal'/></disk>"},
		{"vdb,method=lvm,size.percent=20,device.path=/dev/vg0/lv4", "<disk name='vdb'><diskSnapshot method='lvm'><size percent='20'/><device path='/dev/vg0/lv4'/></diskSnapshot></disk>"},
		{"vdb,size.percent=20", "<disk name='vdb'><diskSnapshot><size percent='20'/></diskSnapshot></disk>"},
		{"vdb,a.x=1,method=acme,a.y=2,z=", "<disk name='vdb'><diskSnapshot method='acme' z=''><a x='1' y='2'/></diskSnapshot></disk>"},
		{"vda,method=copy,directory.path=/a,,b,,,,c=d", "<disk name='vda'><diskSnapshot method='copy'><directory path='/a,b,,c=d'/></diskSnapshot></disk>"},
		{"vda,method=acme,a=,,,b=<&'>", "<disk name='vda'><diskSnapshot method='acme' a=',' b='&lt;&amp;&apos;&gt;'/></disk>"},
	}
	for _, test := range tests {
		t.Run(test.spec, func(t *testing.T) {
			disk, err := ParseDiskSpec(test.spec)
			if err != nil {
				t.Fatal(err)
			}
			got := string(marshal(t, &Descriptor{Disks: []DescriptorDisk{disk}}))
			want := marshal(t, parseDescriptor(t, "<domainsnapshot><disks>"+test.want+"</disks></domainsnapshot>"))
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestParseDiskSpecRefuses(t *testing.T) {
	long := strings.Repeat("k", 64)
	tests := []struct{ spec, want string }{
		{"", `--diskspec: "" is not a disk's target, such as vda`},
		{"snapshot=no", `--diskspec: "snapshot=no" is not a disk's target, such as vda`},
		{"/dev/vda", `--diskspec: "/dev/vda" is not a disk's target, such as vda`},
		{"vda,", `--diskspec vda: "" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda,no", `--diskspec vda: "no" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda,a.b.c=1", `--diskspec vda: "a.b.c=1" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda,a:b=1", `--diskspec vda: "a:b=1" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda," + long + "=1", `--diskspec vda: "` + long + `" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda,a." + long + "=1", `--diskspec vda: "a.` + long[2:] + `" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda,.a=1", `--diskspec vda: ".a=1" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda,a.=1", `--diskspec vda: "a.=1" is not KEY=VALUE or CHILD.KEY=VALUE`},
		{"vda,a.xmlns=b", "--diskspec vda: a.xmlns would be a namespace"},
		{"vda,a=1,a=2", "--diskspec vda: a is given twice"},
		{"vda,a.b=1,a.b=2", "--diskspec vda: a.b is given twice"},
		{"vda,snapshot=no,snapshot=no", "--diskspec vda: snapshot is given twice"},
		{"vda,a=\x01", "--diskspec: a character is not allowed in XML"},
		{"vda,snapshot=nope", `--diskspec vda: attribute snapshot: "nope" is none of no, manual, external, internal`},
		{"vda,snapshot=no,method=lvm", "--diskspec vda: snapshot='no' and <diskSnapshot> contradict each other"},
		{"vda,method=" + long, `--diskspec vda/diskSnapshot: attribute method: "` + long + `" is not a method's name: want lower case letters, digits and dashes, a letter first`},
		{"vda,method=-x", `--diskspec vda/diskSnapshot: attribute method: "-x" is not a method's name: want lower case letters, digits and dashes, a letter first`},
	}
	for _, test := range tests {
		t.Run(test.spec, func(t *testing.T) {
			_, err := ParseDiskSpec(test.spec)
			if !errors.As(err, new(*SyntaxError)) || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDiskSpecBodyErrorHasPath(t *testing.T) {
	disk, err := ParseDiskSpec("vda,method=lvm,size.percnt=20")
	if err != nil {
		t.Fatal(err)
	}
	err = disk.Spec.Decode(&lvmBody{})
	if err == nil || !strings.HasPrefix(err.Error(), "--diskspec vda/diskSnapshot/size: unknown attribute percnt") {
		t.Error(err)
	}
}
