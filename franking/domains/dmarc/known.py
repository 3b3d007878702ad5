"""Services that send mail for others, by what their mail bears: the one table of them.

`signers`: domains whose signature (d=) the service adds, besides the customer's own one.
`senders`: domains of its envelope senders.  `networks`: what the service's own SPF record lists,
for services that also send in nothing but the customer's name; addresses move, so a missing one
only makes a source unknown.  A name also stands for what is below it.  The first service that fits
is the answer, so those that send through another's servers come first.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    name: str
    signers: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


SERVICES: tuple[Service, ...] = (
    Service("Postmark", ("mtasv.net", "pm.mtasv.net"), ("mtasv.net",), ("50.31.156.96/27",)),
    Service(
        "Mailchimp",
        ("mcsv.net", "mcdlv.net", "rsgsv.net", "mandrillapp.com", "mailchimpapp.net"),
        ("mcsv.net", "mcdlv.net", "rsgsv.net", "mandrillapp.com"),
        ("205.201.128.0/20", "198.2.128.0/18", "148.105.8.0/21"),
    ),
    Service(
        "Brevo",
        ("brevosend.com", "sendinblue.com", "brevo.com"),
        ("brevosend.com", "sendinblue.com", "mailin.fr"),
        ("185.41.28.0/22", "94.143.16.0/21", "185.24.144.0/22", "77.32.128.0/18"),
    ),
    Service("Mailjet", ("mailjet.com",), ("mailjet.com",), ("87.253.232.0/21", "185.189.236.0/22")),
    Service("MailerSend", ("mlsend.com", "mailersend.net"), ("mlsend.com", "mailersend.net")),
    Service("MailerLite", ("mailerlite.com", "mlsend2.com"), ("mailerlite.com", "mlsend2.com")),
    Service("HubSpot", ("hubspotemail.net", "hubspot.com"), ("hubspotemail.net",)),
    Service("Klaviyo", ("klaviyomail.com", "klaviyo.com"), ("klaviyomail.com",)),
    Service("Salesforce", ("salesforce.com", "exacttarget.com"), ("salesforce.com",)),
    Service("Zendesk", ("zendesk.com",), ("zendesk.com",), ("192.161.144.0/20",)),
    Service("Freshdesk", ("freshdesk.com", "freshemail.io"), ("freshdesk.com", "freshemail.io")),
    Service("Shopify", ("shopifyemail.com", "shopify.com"), ("shopifyemail.com", "shopify.com")),
    Service("Constant Contact", ("ccsend.com", "auth.ccsend.com"), ("in.constantcontact.com",)),
    Service("Elastic Email", ("elasticemail.com",), ("elasticemail.com", "bounces.elastic.email")),
    Service("SparkPost", ("sparkpostmail.com",), ("sparkpostmail.com", "sparkpostmail1.com")),
    Service("SMTP2GO", ("smtpservice.net", "smtpcorp.com"), ("smtpservice.net", "smtpcorp.com")),
    Service(
        "Mailgun",
        ("mailgun.org", "mailgun.net", "mailgun.com"),
        ("mailgun.org", "mailgun.net"),
        ("69.72.32.0/20", "159.135.224.0/20", "161.38.192.0/20", "166.78.68.0/22",
         "198.61.254.0/23", "209.61.151.0/24", "143.55.224.0/20", "159.112.240.0/20",
         "185.250.236.0/22"),
    ),
    Service(
        "SendGrid",
        ("sendgrid.net", "sendgrid.info", "sendgrid.me"),
        ("sendgrid.net", "sendgrid.info"),
        ("167.89.0.0/17", "149.72.0.0/16", "198.37.144.0/20", "208.117.48.0/20", "50.31.32.0/19",
         "198.21.0.0/21", "192.254.112.0/20", "168.245.0.0/17", "159.183.0.0/16"),
    ),
    Service(
        "Amazon SES",
        ("amazonses.com",),
        ("amazonses.com",),
        ("199.255.192.0/22", "199.127.232.0/22", "54.240.0.0/18", "69.169.224.0/20",
         "23.249.208.0/20", "23.251.224.0/19", "76.223.176.0/20", "76.223.128.0/19"),
    ),
    Service(
        "Zoho",
        ("zoho.com", "zoho.eu", "zohomail.com", "zcsend.net", "zeptomail.com", "zeptomail.net"),
        ("zoho.com", "zoho.eu", "zohomail.com", "zcsend.net", "zeptomail.com"),
        ("136.143.160.0/19", "135.84.80.0/22", "165.173.128.0/18", "121.244.91.48/32",
         "185.20.209.0/24", "185.172.199.0/24"),
    ),
    Service(
        "Fastmail",
        ("messagingengine.com", "fastmail.com"),
        ("messagingengine.com", "fastmail.com"),
        ("103.168.172.128/27", "202.12.124.128/27", "66.111.4.0/24"),
    ),
    Service("Proton Mail", ("protonmail.ch", "proton.me"), ("protonmail.ch",), ("185.70.40.0/22",)),
    Service("iCloud Mail", ("icloud.com",), ("icloud.com",), ("17.57.0.0/16", "17.58.0.0/16")),
    Service(
        "Yandex", ("yandex.ru", "yandex.com"), ("yandex.ru",), ("77.88.0.0/18", "178.154.128.0/17")
    ),
    Service("Mail.ru", ("mail.ru",), ("mail.ru",), ("94.100.176.0/20", "217.69.128.0/20")),
    Service(
        "Google Workspace",
        ("gappssmtp.com", "google.com", "gmail.com"),
        ("google.com", "gmail.com", "gappssmtp.com"),
        ("35.190.247.0/24", "64.233.160.0/19", "66.102.0.0/20", "66.249.80.0/20", "72.14.192.0/18",
         "74.125.0.0/16", "108.177.8.0/21", "173.194.0.0/16", "209.85.128.0/17", "216.58.192.0/19",
         "216.239.32.0/19", "172.217.0.0/19", "2001:4860:4000::/36", "2404:6800:4000::/36",
         "2607:f8b0:4000::/36", "2800:3f0:4000::/36", "2a00:1450:4000::/36", "2c0f:fb50:4000::/36"),
    ),
    Service(
        "Microsoft 365",
        ("onmicrosoft.com", "outlook.com", "protection.outlook.com"),
        ("onmicrosoft.com", "outlook.com"),
        ("40.92.0.0/15", "40.107.0.0/16", "52.100.0.0/15", "52.102.0.0/16", "52.103.0.0/17",
         "104.47.0.0/17", "2a01:111:f400::/48", "2a01:111:f403::/49"),
    ),
)  # fmt: skip
