package xmlspec

import (
	"fmt"
	"regexp"
	"strings"
)

// keyPattern is the name of an attribute or a child of <diskSnapshot>.
var keyPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

const (
	// maxDiskSpec has room for a few paths.
	maxDiskSpec = 16 << 10
	// maxKey is how long a key may be.
	maxKey = 63
)

// ParseDiskSpec reads the value of --diskspec: TARGET[,snapshot=S][,method=M][,KEY=VALUE...], where a doubled
// comma stands for one. KEY becomes an attribute of <diskSnapshot>, and CHILD.KEY one of its child element;
// without a method they are the options of the default method. It fails where ParseDescriptor would for the
// same disk, and for a key given twice.
func ParseDiskSpec(s string) (DescriptorDisk, error) {
	if len(s) > maxDiskSpec {
		return DescriptorDisk{}, &SyntaxError{Path: "--diskspec", Message: fmt.Sprintf("it has more than %d bytes", maxDiskSpec)}
	}
	if err := checkCharacters([]byte(s)); err != nil {
		return DescriptorDisk{}, &SyntaxError{Path: "--diskspec", Message: "a character is not allowed in XML"}
	}
	words := splitCommas(s)
	if err := checkTarget(words[0]); err != nil {
		return DescriptorDisk{}, &SyntaxError{Path: "--diskspec", Message: err.Error()}
	}
	disk := &Node{Name: "disk", Attrs: []Attr{{"name", words[0]}}, origin: "--diskspec " + words[0]}
	for _, word := range words[1:] {
		if err := disk.addOption(word); err != nil {
			return DescriptorDisk{}, &SyntaxError{Path: disk.origin, Message: err.Error()}
		}
	}
	return readDescriptorDisk(disk)
}

// splitCommas splits as virsh does a text without control characters.
func splitCommas(s string) []string {
	const escaped = "\x00"
	words := strings.Split(strings.ReplaceAll(s, ",,", escaped), ",")
	for i, word := range words {
		words[i] = strings.ReplaceAll(word, escaped, ",")
	}
	return words
}

func (n *Node) addOption(word string) error {
	key, value, found := strings.Cut(word, "=")
	if !found || !isAttributePath(key) {
		return fmt.Errorf("%.64q is not KEY=VALUE or CHILD.KEY=VALUE", word)
	}
	element, name := n.optionPlace(key)
	if name == "xmlns" {
		return fmt.Errorf("%s would be a namespace", key)
	}
	if _, given := element.Attr(name); given {
		return fmt.Errorf("%s is given twice", key)
	}
	element.Attrs = append(element.Attrs, Attr{name, value})
	return nil
}

// isAttributePath says that it names a <diskSnapshot> attribute, or one of a child's: KEY or CHILD.KEY.
func isAttributePath(path string) bool {
	child, key, nested := strings.Cut(path, ".")
	return isKey(child) && (!nested || isKey(key))
}

func isKey(s string) bool { return len(s) <= maxKey && keyPattern.MatchString(s) }

// optionPlace finds or makes the element that the key is an attribute of.
func (n *Node) optionPlace(key string) (element *Node, name string) {
	if key == "snapshot" {
		return n, key
	}
	spec := n.childOrNew(specElement)
	child, name, nested := strings.Cut(key, ".")
	if !nested {
		return spec, key
	}
	return spec.childOrNew(child), name
}

func (n *Node) childOrNew(name string) *Node {
	if c := n.child(name); c != nil {
		return c
	}
	return n.add(name)
}
