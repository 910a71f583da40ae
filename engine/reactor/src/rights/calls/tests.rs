#![allow(
    unsafe_code,
    reason = "calls that have no wrapper are tried as they are"
)]

use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

const ALL: [Group; 5] = [
    Group::Base,
    Group::Reading,
    Group::Writing,
    Group::Connecting,
    Group::Accepting,
];
/// Tells the test's child what it is.
const CHILD: &str = "CALLS_TEST_CHILD";

/// Runs a test of this file once more, in a process of its own. Gives what it wrote to its standard
/// error, or none if this process is that child.
fn in_a_child(name: &str) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let name = format!("rights::calls::tests::{name}");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([&name, "--exact", "--nocapture", "--test-threads=1"]);
    let output = child.env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    Some(said)
}

/// The errno of a call without arguments to speak of: without a filter each fails in another way,
/// or does no harm.
fn errno(call: c_long, arguments: [u64; 6]) -> i32 {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: no argument is an address that the kernel would write to.
    let result = unsafe { libc::syscall(call, a, b, c, d, e, f) };
    match result {
        -1 => io::Error::last_os_error().raw_os_error().unwrap(),
        _ => 0,
    }
}

/// Ways out, and what to call them.
fn ways_out() -> Vec<(&'static str, c_long, [u64; 6])> {
    let parent = u64::from(std::os::unix::process::parent_id());
    let with = |first: u64| [first, 0, 0, 0, 0, 0];
    let (anonymous, all) = (0x22, 7);
    vec![
        ("execve", libc::SYS_execve, [0; 6]),
        ("execveat", libc::SYS_execveat, [0; 6]),
        (
            "a process",
            libc::SYS_clone,
            with(libc::CLONE_SIGHAND as u64),
        ),
        ("ptrace", libc::SYS_ptrace, [9999, parent, 0, 0, 0, 0]),
        ("another's memory", libc::SYS_process_vm_readv, with(parent)),
        ("another's end", libc::SYS_kill, with(parent)),
        ("another's thread's end", libc::SYS_tgkill, [parent; 6]),
        ("another's files", libc::SYS_pidfd_open, with(parent)),
        ("netlink", libc::SYS_socket, [16, 3, 0, 0, 0, 0]),
        ("packets", libc::SYS_socket, [17, 3, 0, 0, 0, 0]),
        (
            "the kernel's ciphers",
            libc::SYS_socket,
            [38, 5, 0, 0, 0, 0],
        ),
        ("a port", libc::SYS_bind, with(u64::MAX)),
        ("a listener", libc::SYS_listen, with(u64::MAX)),
        ("mount", libc::SYS_mount, [0; 6]),
        ("umount", libc::SYS_umount2, [0; 6]),
        ("chroot", libc::SYS_chroot, [0; 6]),
        ("namespaces", libc::SYS_unshare, with(0)),
        ("other namespaces", libc::SYS_setns, with(u64::MAX)),
        ("bpf", libc::SYS_bpf, with(99)),
        ("perf", libc::SYS_perf_event_open, [0; 6]),
        ("page faults", libc::SYS_userfaultfd, with(1 << 20)),
        ("keys", libc::SYS_keyctl, with(999)),
        ("modules", libc::SYS_init_module, [0; 6]),
        ("kexec", libc::SYS_kexec_load, with(u64::MAX)),
        ("reboot", libc::SYS_reboot, [0; 6]),
        ("rings", libc::SYS_io_uring_setup, [0; 6]),
        (
            "what was written",
            libc::SYS_mmap,
            [0, 4096, all, anonymous, u64::MAX, 0],
        ),
        ("what was mapped", libc::SYS_mprotect, [0, 0, 5, 0, 0, 0]),
        ("files without names", libc::SYS_memfd_create, [0; 6]),
        ("another user", libc::SYS_setresuid, [0; 6]),
        ("other groups", libc::SYS_setgroups, [0; 6]),
        ("capabilities", libc::SYS_capset, [0; 6]),
        ("another filter", libc::SYS_seccomp, with(99)),
        ("a filter's end", libc::SYS_prctl, with(22)),
        ("another personality", libc::SYS_personality, with(u64::MAX)),
        (
            "whom the kernel signals",
            libc::SYS_fcntl,
            [0, 8, 0, 0, 0, 0],
        ),
        ("handles", libc::SYS_open_by_handle_at, [0; 6]),
        (
            "a terminal's input",
            libc::SYS_ioctl,
            [0, 0x5412, 0, 0, 0, 0],
        ),
        ("limits", libc::SYS_prlimit64, [0, 7, 8, 0, 0, 0]),
        ("owners", libc::SYS_fchownat, [0; 6]),
        ("devices", libc::SYS_mknodat, [0; 6]),
    ]
}

#[test]
fn no_way_leads_out_of_any_thread() {
    let Some(said) = in_a_child("no_way_leads_out_of_any_thread") else {
        return escape();
    };
    assert!(said.contains("all ways were tried"), "{said}");
}

/// One thread is there before, one comes later.
fn escape() {
    let (go, wait) = mpsc::channel::<()>();
    let try_all = || {
        for (name, call, arguments) in ways_out() {
            assert_eq!(errno(call, arguments), libc::EPERM, "{name}");
        }
        assert_eq!(errno(libc::SYS_clone3, [0; 6]), libc::ENOSYS);
    };
    let before = std::thread::Builder::new()
        .spawn(move || {
            wait.recv().unwrap();
            try_all();
        })
        .unwrap();
    // Of most of them nothing else says EPERM, even to who is not root.
    let all = ways_out();
    let open = all
        .iter()
        .filter(|(_, call, with)| errno(*call, *with) != libc::EPERM);
    let (open, all) = (open.count(), all.len());
    assert!(open > all / 2, "{open} of {all}");
    if allow_only(&ALL).unwrap() == Confinement::None {
        eprintln!("no seccomp here: all ways were tried, none was closed");
        std::process::exit(0);
    }
    go.send(()).unwrap();
    before.join().unwrap();
    try_all();
    std::thread::Builder::new()
        .spawn(try_all)
        .unwrap()
        .join()
        .unwrap();
    assert!(Command::new("true").spawn().is_err());
    eprintln!("all ways were tried");
    // What the harness does at its end is not on the list.
    std::process::exit(0);
}

#[test]
fn what_is_needed_goes_on() {
    if in_a_child("what_is_needed_goes_on").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap().keep();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    allow_only(&ALL).unwrap();
    let file = folder.join("file");
    fs::write(&file, vec![1; 1 << 20]).unwrap();
    fs::copy(&file, folder.join("copy")).unwrap();
    fs::rename(folder.join("copy"), folder.join("other")).unwrap();
    fs::File::open(&file).unwrap().sync_all().unwrap();
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let kept = fs::File::open(&file).unwrap();
    std::os::unix::fs::fchown(&kept, Some(user.as_raw()), Some(group.as_raw())).unwrap();
    kept.try_lock().unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    fs::remove_dir_all(&folder).unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    stream.write_all(b"hello").unwrap();
    assert!(("localhost", 1).to_socket_addrs().unwrap().next().is_some());
    let large = std::hint::black_box(vec![1u8; 100 << 20]);
    drop(large);
    let panics = || -> () { panic!("as planned: {}", std::backtrace::Backtrace::force_capture()) };
    let panicked = std::thread::Builder::new()
        .name("panics".into())
        .spawn(panics);
    assert!(panicked.unwrap().join().is_err());
    std::process::exit(0);
}

#[test]
fn who_only_reads_changes_nothing() {
    if in_a_child("who_only_reads_changes_nothing").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap().keep();
    let (file, other) = (folder.join("file"), folder.join("other"));
    fs::write(&file, "text").unwrap();
    let all = [Group::Base, Group::Reading, Group::Removing];
    if allow_only(&all).unwrap() != Confinement::None {
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        assert!(fs::write(&other, "").is_err());
        assert!(fs::OpenOptions::new().append(true).open(&file).is_err());
        assert!(fs::rename(&file, &other).is_err());
        assert!(fs::create_dir(&other).is_err());
        assert!(
            TcpStream::connect("127.0.0.1:1")
                .is_err_and(|it| { it.raw_os_error() == Some(libc::EPERM) })
        );
        fs::remove_file(&file).unwrap();
    }
    std::process::exit(0);
}
