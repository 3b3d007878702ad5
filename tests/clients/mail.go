// Sends one message as told on standard input, with the standard library alone.
package main

import (
	"crypto/tls"
	"encoding/json"
	"log"
	"net"
	"net/smtp"
	"os"
	"strconv"
)

type order struct {
	Host           string
	Port           int
	ImplicitTLS    bool `json:"implicit_tls"`
	User, Password string
	From, To       string
	Message        string
}

func main() {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		log.Fatal(err)
	}
	address := net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	auth := smtp.PlainAuth("", o.User, o.Password, o.Host)

	send := smtp.SendMail // says STARTTLS by itself
	if o.ImplicitTLS {
		send = sendOverTLS
	}
	if err := send(address, auth, o.From, []string{o.To}, []byte(o.Message)); err != nil {
		log.Fatal(err)
	}
}

// sendOverTLS is smtp.SendMail for a port where TLS comes first.
func sendOverTLS(address string, auth smtp.Auth, from string, to []string, message []byte) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	connection, err := tls.Dial("tcp", address, &tls.Config{ServerName: host})
	if err != nil {
		return err
	}
	client, err := smtp.NewClient(connection, host)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Auth(auth); err != nil {
		return err
	}
	if err := client.Mail(from); err != nil {
		return err
	}
	for _, recipient := range to {
		if err := client.Rcpt(recipient); err != nil {
			return err
		}
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(message); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	return client.Quit()
}
