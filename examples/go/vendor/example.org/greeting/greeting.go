// Package greeting is a small module of its own, to be vendored.
package greeting

// From is a greeting in the name of somebody.
func From(name string) string {
	return "Hello from " + name + "."
}
