// Package controller reconciles the kinds of the wrenn.dev API against Wrenn.
//
// Every controller has the same shape. Reconcile gathers what is observed, asks a pure plan for the one action that
// is due, performs it, and writes the status once at the end, if it changed. No reconcile waits for Wrenn: calls run
// as flights, at most one for each object, and wake the object when they land. So a slow endpoint never holds up the
// objects of another, and a call that must not be cut short is not.
package controller
