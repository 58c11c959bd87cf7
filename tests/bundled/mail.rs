//! The action core.sendmail: to an SMTP server, through a program, and nowhere.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::run;
use crate::harness::{App, On};

/// Takes one mail and answers what was said.
fn server() -> anyhow::Result<(u16, JoinHandle<anyhow::Result<String>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    Ok((port, std::thread::spawn(move || take(&listener.accept()?.0))))
}

fn take(client: &TcpStream) -> anyhow::Result<String> {
    let mut out = client;
    out.write_all(b"220 here\r\n")?;
    let (mut said, mut is_text) = (String::new(), false);
    for line in BufReader::new(client).lines() {
        let line = line?;
        let answer = match line.as_str() {
            "." if is_text => "250 taken",
            _ if is_text => "",
            "QUIT" | "quit" => break,
            "DATA" | "data" => "354 go on",
            _ => "250 fine",
        };
        is_text = answer == "354 go on" || is_text && answer.is_empty();
        said += &line;
        said.push('\n');
        if !answer.is_empty() {
            out.write_all(format!("{answer}\r\n").as_bytes())?;
        }
    }
    out.write_all(b"221 bye\r\n")?;
    Ok(said)
}

#[test]
fn a_mail_goes_to_the_server_that_the_keys_name() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let (port, taken) = server()?;
    app.json(&["kv", "set", "smtp.host", "127.0.0.1"])?;
    app.json(&["kv", "set", "smtp.port", &port.to_string()])?;
    std::fs::write(app.path("note.txt"), "attached")?;
    let attached = format!("attachments={},/nowhere", app.path("note.txt").display());
    let sent = run(
        &app,
        &[
            "core.sendmail",
            "from=ann@example.org",
            "to=bob@example.org,eve@example.org",
            "subject=late\nBcc: all@example.org",
            "body=<b>it's 7 & more</b>",
            &attached,
        ],
    )?;
    assert_eq!(sent["status"], "succeeded", "{sent}");
    let expected = "Successfully sent mail to bob@example.org,eve@example.org";
    assert_eq!(sent["result"]["stdout"], expected);
    ensure!(sent["result"]["stderr"].to_string().contains("/nowhere not found"), "{sent}");
    let said = taken.join().map_err(|_panic| anyhow::anyhow!("the server broke"))??;
    let id = format!("Message-ID: <{}@", sent["id"].as_str().context("an id")?);
    for part in [
        "FROM:<ann@example.org>",
        "TO:<bob@example.org>",
        "TO:<eve@example.org>",
        "Subject: late Bcc: all@example.org\n",
        &id,
        "Content-Type: text/html; charset=\"utf-8\"",
        "<b>it's 7 & more</b>",
        "filename=\"note.txt\"",
    ] {
        ensure!(said.contains(part), "{part:?} is not in {said}");
    }
    ensure!(!said.contains("TO:<all"), "{said}");
    Ok(())
}

#[test]
fn a_mail_goes_through_a_program_and_what_goes_wrong_is_told() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let file = app.path("mail");
    let through = format!("sendmail_binary=tee {}", file.display());
    let base = ["core.sendmail", "to=bob@example.org", "subject=Grüße", "content_type=text/plain"];
    let sent = run(&app, &[&base[..], &["body=hello", &through]].concat())?;
    assert_eq!(sent["status"], "succeeded", "{sent}");
    let mail = std::fs::read_to_string(&file)?;
    ensure!(mail.contains("From: stanley@") && mail.contains("\n\nhello\n"), "{mail}");
    ensure!(mail.contains("Subject: =?utf-8?") && !mail.contains('\r'), "{mail}");
    // A password is decrypted on its way, and no one else sees it.
    let stored = format!("kv set smtp.password {} --encrypt", r#"qu"ote\s"#);
    app.json(&stored.split(' ').collect::<Vec<_>>())?;
    let password = "sendmail_binary=sh -c 'test \"$SMTP_PASSWORD\" = \"$0\"' qu\\\"ote\\\\s";
    let sent = run(&app, &[&base[..], &["body=x", password]].concat())?;
    assert_eq!(sent["status"], "succeeded", "{sent}");
    for (arguments, status, stdout, stderr) in [
        (&["body=", "send_empty_body=false"][..], "succeeded", "Nothing to send", ""),
        (&["body=x", "sendmail_binary=false"], "failed", "Failed to send", "false exited with 1"),
        (&["body=x", "sendmail_binary=/no/such"], "failed", "Failed to send", "/no/such"),
        (&["body=x", "content_type=image/png"], "failed", "Failed to send", "text/html or"),
        (
            &["body=x", "env={\"SMTP_HOST\": \"127.0.0.1\", \"SMTP_PORT\": \"1\"}"],
            "failed",
            "Failed to send",
            "refused",
        ),
        (
            &["body=x", "env={\"SMTP_HOST\": \"h\", \"SMTP_TLS\": \"maybe\"}"],
            "failed",
            "Failed to send",
            "starttls, tls or none",
        ),
    ] {
        let done = run(&app, &[&base[..], arguments].concat())?;
        assert_eq!(done["status"], json!(status), "{arguments:?}: {done}");
        let said = |name: &str| done["result"][name].as_str().unwrap_or_default().to_owned();
        ensure!(said("stdout").contains(stdout), "{arguments:?}: {done}");
        ensure!(said("stderr").contains(stderr), "{arguments:?}: {done}");
    }
    Ok(())
}
