// Trees and notes as Go's own module system has them (golang.org/x/mod/sumdb), asked with JSON on standard input.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Leaves  [][]byte // contents
	Index   int64
	Key     string // of a verifier
	Private string // of a signer
	Text    string // to be signed
	Note    string // to be opened
	Size    int64
	Root    []byte
	Path    [][]byte
	Entry   []byte
}

type answer struct {
	Roots  [][]byte // of the first 0, 1, 2 … leaves
	Path   [][]byte // of the leaf at the index, in the tree of all
	Signed string
	Text   string // of the note, if its signature is good
	Proved bool   // whether path leads from entry to root
	Error  string
}

type hashes []tlog.Hash

func (stored hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		found = append(found, stored[index])
	}
	return found, nil
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	told, err := reply(asked)
	if err != nil {
		told.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(told)
}

func reply(asked question) (answer, error) {
	switch {
	case asked.Private != "":
		signer, err := note.NewSigner(asked.Private)
		if err != nil {
			return answer{}, err
		}
		signed, err := note.Sign(&note.Note{Text: asked.Text}, signer)
		return answer{Signed: string(signed)}, err
	case asked.Note != "":
		verifier, err := note.NewVerifier(asked.Key)
		if err != nil {
			return answer{}, err
		}
		opened, err := note.Open([]byte(asked.Note), note.VerifierList(verifier))
		if err != nil {
			return answer{}, err
		}
		return answer{Text: opened.Text}, nil
	case asked.Entry != nil:
		err := tlog.CheckRecord(record(asked.Path), asked.Size, hash(asked.Root), asked.Index, tlog.RecordHash(asked.Entry))
		return answer{Proved: err == nil}, err
	}
	return tree(asked)
}

func tree(asked question) (answer, error) {
	var stored hashes
	told := answer{Path: [][]byte{}}
	for size := 0; ; size++ {
		root, err := tlog.TreeHash(int64(size), stored)
		if err != nil {
			return told, err
		}
		told.Roots = append(told.Roots, append([]byte{}, root[:]...))
		if size == len(asked.Leaves) {
			break
		}
		more, err := tlog.StoredHashes(int64(size), asked.Leaves[size], stored)
		if err != nil {
			return told, err
		}
		stored = append(stored, more...)
	}
	if len(asked.Leaves) == 0 {
		return told, nil
	}
	path, err := tlog.ProveRecord(int64(len(asked.Leaves)), asked.Index, stored)
	for _, each := range path {
		told.Path = append(told.Path, append([]byte{}, each[:]...))
	}
	return told, err
}

func record(path [][]byte) tlog.RecordProof {
	var proof tlog.RecordProof
	for _, each := range path {
		proof = append(proof, hash(each))
	}
	return proof
}

func hash(content []byte) (found tlog.Hash) {
	copy(found[:], content)
	return found
}
