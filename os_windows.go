package main

// noWaiting: there are no pipes among files here.
const noWaiting = 0
