// The web process: one page from a template, with a greeting from a vendored module.
package main

import (
	"html/template"
	"log"
	"net/http"
	"os"

	"example.org/greeting"
)

func main() {
	page := template.Must(template.ParseFiles("templates/page.html"))
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		if err := page.Execute(answer, greeting.From("Go")); err != nil {
			log.Print(err)
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
