<?php
// Sends one message as told on standard input; prints the ID that PHPMailer found in the reply.
use PHPMailer\PHPMailer\PHPMailer;

require 'libphp-phpmailer/autoload.php';

$order = json_decode(stream_get_contents(STDIN), false, 512, JSON_THROW_ON_ERROR);

$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = $order->host;
$mail->Port = $order->port;
$mail->SMTPSecure = $order->implicit_tls ? PHPMailer::ENCRYPTION_SMTPS : PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPAuth = true;
$mail->Username = $order->user;
$mail->Password = $order->password;

$mail->CharSet = PHPMailer::CHARSET_UTF8;
$mail->setFrom($order->from, 'Shop');
$mail->addAddress($order->to);
foreach ($order->headers as $name => $value) {
    $mail->addCustomHeader($name, $value);
}
$mail->Subject = $order->subject;
$mail->Body = $order->text;
$mail->send();

echo 'queued as ', $mail->getSMTPInstance()->getLastTransactionID(), "\n";
