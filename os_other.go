//go:build !unix

package main

const noWaiting = 0
