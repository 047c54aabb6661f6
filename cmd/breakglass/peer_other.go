//go:build !linux

package main

import (
	"context"
	"net"
)

// peerKey finds the operating system's user at the other end of the socket in a request's context.
type peerKey struct{}

// withPeer: the socket's mode lets in only the user that runs the bot, so that is who it is.
func withPeer(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, whoami())
}
