package eventtype

import (
	"embed"
	"path"
	"sync"

	"github.com/datastorage-io/datastorage"
)

// BuiltinOwner is the owner of the types that are built in.
const BuiltinOwner = "datastorage"

//go:embed builtin/*.json
var files embed.FS

// builtin returns the event types that are known out of the box, by name: one file for each, as
// datastorage.DecodeEventType reads it.
var builtin = sync.OnceValue(func() map[string]*datastorage.EventType {
	names, err := files.ReadDir("builtin")
	if err != nil {
		panic("eventtype: " + err.Error())
	}
	types := make(map[string]*datastorage.EventType, len(names))
	for _, entry := range names {
		text, err := files.ReadFile(path.Join("builtin", entry.Name()))
		if err != nil {
			panic("eventtype: " + err.Error())
		}
		t, err := datastorage.DecodeEventType(text, "")
		if err != nil {
			panic("eventtype: " + entry.Name() + ": " + err.Error())
		}
		t.Owner = BuiltinOwner
		types[t.Name] = t
	}
	return types
})
