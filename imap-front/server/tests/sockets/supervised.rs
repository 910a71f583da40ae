//! The server under a supervisor such as systemd.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::site::{Site, Talk};

#[test]
fn it_takes_over_open_sockets_and_says_when_it_is_ready() {
    let site = Site::new("service.imap.sslport = 993\n");
    site.configure();
    let open = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (listener, of_tls) = (open(), open());
    let path = site.folder.path().join("run/notify");
    let notified = UnixDatagram::bind(&path).unwrap();
    notified
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // The sockets come as the shell's input and output: a shell may know descriptors of one digit
    // alone.
    let script = format!(
        "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=imap:imaps \
         exec {} --base {} 3<&0 4<&1 </dev/null >/dev/null",
        env!("CARGO_BIN_EXE_imapd"),
        site.folder.path().display(),
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(OwnedFd::from(listener.try_clone().unwrap()))
        .stdout(OwnedFd::from(of_tls.try_clone().unwrap()))
        .env("NOTIFY_SOCKET", &path)
        .env_remove("ENSIGN_READY_FD")
        .spawn()
        .unwrap();
    // A client may come before the server does.
    let mut talk = Talk::to(listener.local_addr().unwrap());
    let mut buffer = [0; 64];
    let length = notified.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\n");
    assert!(talk.line().starts_with("* OK [CAPABILITY "));
    talk.ask("a LOGIN fred fred");
    // There is no certificate, so the handshake fails.
    let mut talk = Talk::to(of_tls.local_addr().unwrap());
    talk.say("\x16\x03\x01");
    assert_eq!(talk.rest(), 0);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_supervisor_may_have_a_socket_without_a_file() {
    use std::os::linux::net::SocketAddrExt;
    let mut site = Site::bare("");
    let name = format!("ensign-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let notified = UnixDatagram::bind_addr(&address).unwrap();
    let patience = Some(Duration::from_secs(30));
    notified.set_read_timeout(patience).unwrap();
    site.variables.push(("NOTIFY_SOCKET", format!("@{name}")));
    let server = site.start();
    let mut buffer = [0; 64];
    let length = notified.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\n");
    drop(server);
}
