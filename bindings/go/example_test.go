package kvds_test

import (
	"errors"
	"fmt"
	"log"

	"kvds"
)

// Years of birth, in a memory store: get, set, iterate with a callback, retain and release.
func Example() {
	distributor, err := kvds.NewDistributor("", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer distributor.Release()
	born, err := distributor.GetOrCreate("born", kvds.Memory)
	if err != nil {
		log.Fatal(err)
	}

	for name, year := range map[string]string{"ada": "1815", "alan": "1912", "grace": "1906"} {
		if err := born.Set([]byte(name), []byte(year)); err != nil {
			log.Fatal(err)
		}
	}
	year, err := born.Get([]byte("ada"))
	fmt.Printf("ada was born in %s\n", year)
	_, err = born.Get([]byte("edsger"))
	fmt.Println("edsger is not there:", errors.Is(err, kvds.NotFound))

	// Every key that begins with "a", in order. An error ends it.
	err = born.Iterate([]byte("a"), func(key, value []byte) error {
		fmt.Printf("%s: %s\n", key, value)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	// The same as a loop, over any range.
	cursor, err := born.Cursor(kvds.Range{Start: []byte("alan")})
	if err != nil {
		log.Fatal(err)
	}
	defer cursor.Release()
	for there := cursor.First(); there; there = cursor.Next() {
		fmt.Printf("%s\n", cursor.Key())
	}

	// A second reference keeps the store and its data when the first is released.
	again, err := born.Retain()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("references left:", born.Release())
	year, err = again.Get([]byte("grace"))
	fmt.Printf("grace was born in %s\n", year)

	// A released store cannot be used: the call returns an error with a text and a status.
	_, err = born.Get([]byte("ada"))
	fmt.Println(err, errors.Is(err, kvds.Closed))

	fmt.Println("references left:", again.Release())
	fmt.Println("stores:", distributor.StoreCount())

	// Output:
	// ada was born in 1815
	// edsger is not there: true
	// ada: 1815
	// alan: 1912
	// alan
	// grace
	// references left: 1
	// grace was born in 1906
	// this store was released true
	// references left: 0
	// stores: 0
}
