// Sends one message as told on standard input; prints the server's reply.
const nodemailer = require("nodemailer");
const { transport, mail } = JSON.parse(require("fs").readFileSync(0, "utf8"));
nodemailer.createTransport(transport).sendMail(mail).then(
  (info) => console.log(info.response),
  (error) => { console.error(error); process.exit(1); },
);
