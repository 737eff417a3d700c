// Package recipes has scripts by which the backup programs of others read what domsnap exports. It is tested here with
// stand-ins, and with the programs themselves in integration/e2e.
package recipes
