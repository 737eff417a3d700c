package virt

import "testing"

// FuzzDecodeReply reads what a guest says, who may be anybody.
func FuzzDecodeReply(f *testing.F) {
	f.Add(`{"return":5}`)
	f.Add(`{"return":"frozen"}`)
	f.Add(`{"return":[{"name":"vda1","disk":[{"bus-type":"virtio","dev":"/dev/vda","pci-controller":{"domain":0,"bus":3,"slot":0,"function":0}}]}]}`)
	f.Add(`{"error":{"class":"CommandNotFound","desc":"\u0000"}}`)
	f.Fuzz(func(t *testing.T, reply string) {
		var number int
		var word string
		var systems []filesystem
		for _, into := range []any{&number, &word, &systems} {
			if err := decodeReply("guest-any", reply, into); err == nil && len(reply) > maxAgentReply {
				t.Errorf("%d bytes were read", len(reply))
			}
		}
	})
}
