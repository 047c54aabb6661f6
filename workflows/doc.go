// Package workflows is what happens: a file for each verb. Submit (request.go), decide (approve.go), grant, revoke, report,
// remind; the engine (engine.go) moves what is due one step forward, by the clock that the store keeps.
//
// It says what it needs of the outside as small interfaces (outside.go) and links neither AWS nor Slack. It holds no
// state of its own: all it knows is in the store, so it can be stopped anywhere.
package workflows
