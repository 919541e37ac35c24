package kong

// This file is akslogin's, and so are the lines that akslogin.patch changes; all else is kong as it is published.
//
// Where a program can reach reflection's Method, or MethodByName with a name that is no constant, the linker keeps every exported method of every type:
// here a sixth of the whole program (https://github.com/alecthomas/kong/issues/547). So the names are constants, and methods that provide
// bindings by a name that begins with Provide are not looked for. It is compiled as Go of this module's version, in which each round of a loop has variables of
// its own: kong's go.mod has an older one.

import "reflect"

// methodByName is reflect.Value's, for the names that kong asks for.
func methodByName(value reflect.Value, name string) reflect.Value {
	switch name {
	case "BeforeReset":
		return value.MethodByName("BeforeReset")
	case "BeforeResolve":
		return value.MethodByName("BeforeResolve")
	case "BeforeApply":
		return value.MethodByName("BeforeApply")
	case "AfterApply":
		return value.MethodByName("AfterApply")
	case "Run":
		return value.MethodByName("Run")
	case "AfterRun":
		return value.MethodByName("AfterRun")
	}
	panic(unlisted + name)
}

// typeMethodByName is reflect.Type's, for the same names.
func typeMethodByName(t reflect.Type, name string) (reflect.Method, bool) {
	switch name {
	case "BeforeReset":
		return t.MethodByName("BeforeReset")
	case "BeforeResolve":
		return t.MethodByName("BeforeResolve")
	case "BeforeApply":
		return t.MethodByName("BeforeApply")
	case "AfterApply":
		return t.MethodByName("AfterApply")
	case "Run":
		return t.MethodByName("Run")
	case "AfterRun":
		return t.MethodByName("AfterRun")
	}
	panic(unlisted + name)
}

const unlisted = "kong: a method that is not listed in methods.go: "
