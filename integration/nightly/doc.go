// Package nightly has what takes snapshots of many domains by itself: a script that drives domsnap, its configuration, and
// the units that start it.
package nightly
