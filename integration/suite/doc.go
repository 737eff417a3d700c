// Package suite runs the suite that every method passes on the built-in methods, in the lab, and on engines.
package suite
