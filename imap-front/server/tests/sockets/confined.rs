//! What a server that has started can do no more, tried from within: by a plug-in.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::site::{Server, Site};

/// How each of its threads is filtered: 2 is by a list.
fn modes(server: &Server) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let modes = tasks.filter_map(|task| {
        let status = fs::read_to_string(task.unwrap().path().join("status")).ok()?;
        let mode = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"))?;
        Some(mode.trim().to_owned())
    });
    modes.collect()
}

#[test]
fn every_thread_makes_only_calls_of_the_list() {
    let site = Site::new("");
    let server = site.start();
    let found = modes(&server);
    assert!(
        found.len() > 5 && found.iter().all(|mode| mode == "2"),
        "{found:?}"
    );
    drop(server);
    assert!(!site.log().contains(" is off:"), "{}", site.log());
    let options = [
        "service.seccomp",
        "service.landlock",
        "service.restrictrings",
    ];
    let mut site = Site::new("logfile.imap.file = log/imap\n");
    site.options += &options.map(|option| format!("{option} = no\n")).concat();
    let server = site.start();
    let found = modes(&server);
    assert!(found.iter().all(|mode| mode == "0"), "{found:?}");
    for option in options {
        let said = format!("{option} is off");
        assert_eq!(site.log().matches(&said).count(), 1, "{}", site.log());
    }
    assert_eq!(server.deliver(&["fred"], "Subject: x\r\n\r\ny").len(), 1);
}

/// Runs a program on a kernel that has neither Landlock nor seccomp nor restricted rings: a filter
/// answers for it.
const LACKING: &str = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define FAIL(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

int main(int argc, char **argv)
{
    struct sock_filter code[] = {
        LOAD(nr),
        SKIP_UNLESS(SYS_landlock_create_ruleset, 1),
        FAIL(ENOSYS),
        SKIP_UNLESS(SYS_seccomp, 1),
        FAIL(ENOSYS),
        SKIP_UNLESS(SYS_prctl, 3),
        LOAD(args[0]),
        SKIP_UNLESS(PR_GET_SECCOMP, 1),
        FAIL(EINVAL),
        LOAD(nr),
        SKIP_UNLESS(SYS_io_uring_register, 3),
        LOAD(args[1]),
        SKIP_UNLESS(11 /* IORING_REGISTER_RESTRICTIONS */, 1),
        FAIL(EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};

    if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return 2;
    execv(argv[1], argv + 1);
    return 3;
}
"#;

#[test]
fn what_the_kernel_lacks_is_said_and_done_without() {
    let site = Site::new("logfile.imap.file = log/imap\n");
    let folder = site.folder.path();
    let program = folder.join("lacking");
    fs::write(folder.join("lacking.c"), LACKING).unwrap();
    let mut cc = Command::new("cc");
    cc.arg("-o").arg(&program).arg(folder.join("lacking.c"));
    assert!(cc.status().unwrap().success());
    let server = site.start_under(&format!("exec {} \"$0\" \"$@\"", program.display()));
    let log = site.log();
    for said in [
        "this kernel has no Landlock",
        "this kernel has no seccomp with filters",
        "this kernel can't restrict io_uring",
    ] {
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
    }
    let mut idle = server.idle("fred");
    assert!(server.deliver(&["fred"], "Subject: x\r\n\r\ny")[0].starts_with("250"));
    assert_eq!(idle.line(), "* 1 EXISTS");
}

/// A plug-in that looks for a way out when it is told of an event, and has what it met logged.
const PLUG_IN: &str = r#"
#define _GNU_SOURCE
#include "ensign_plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(name, call)                                                                  \
    do {                                                                                 \
        errno = 0;                                                                       \
        long result = (long)(call);                                                      \
        snprintf(line, sizeof line, "met %s: %d", name, result == -1 ? errno : 0);       \
        host->log(host->context, line);                                                  \
    } while (0)

static void on_event(void *context, const ensign_event *event)
{
    const ensign_host *host = context;
    char line[128], *arguments[] = {"true", NULL};
    int all = PROT_READ | PROT_WRITE | PROT_EXEC;

    (void)event;
    TRY("execve", execv("/bin/true", arguments));
    TRY("fork", fork());
    TRY("vfork", syscall(SYS_clone, CLONE_VM_VFORK, 0, 0, 0, 0));
    TRY("ptrace", ptrace(PTRACE_ATTACH, getppid(), 0, 0));
    TRY("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    TRY("packet", socket(AF_PACKET, SOCK_RAW, 0));
    TRY("mount", mount("none", "/mnt", "tmpfs", 0, ""));
    TRY("rings", syscall(SYS_io_uring_setup, 0, 0));
    TRY("code", mmap(0, 4096, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    TRY("listen", listen(0, 1));
    TRY("memfd", memfd_create("code", 0));
    TRY("setuid", setresuid(0, 0, 0));
    TRY("inet", close(socket(AF_INET, SOCK_STREAM, 0)));
    TRY("secret", open("SECRET", O_RDONLY));
}

int ensign_plugin_init(const ensign_host *host, ensign_plugin *plugin, char *error, size_t size)
{
    (void)error, (void)size;
    plugin->abi = ENSIGN_PLUGIN_ABI;
    plugin->context = (void *)host;
    plugin->event = on_event;
    return 0;
}
"#;

#[test]
fn a_plug_in_finds_no_way_out() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let mut site = Site::bare("logfile.imap.file = log/imap\n");
    let (source, library) = (
        site.folder.path().join("escape.c"),
        site.folder.path().join("escape"),
    );
    let text = PLUG_IN.replace("SECRET", secret.to_str().unwrap());
    fs::write(&source, text.replace("CLONE_VM_VFORK", "0x4100 | 17")).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-I"])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../engine/ibiff/include"
        ))
        .arg("-o")
        .arg(library.with_extension("so"))
        .arg(&source);
    assert!(cc.status().unwrap().success());
    site.options += &format!("local.store.notifyplugin = {}\n", library.display());
    let server = site.start();
    server.deliver(&["fred"], "Subject: x\r\n\r\ny");
    for _ in 0..200 {
        if site.log().contains("met secret") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = site.log();
    assert!(log.contains("is refused system calls"), "{log}");
    let met: Vec<&str> = log
        .lines()
        .filter_map(|line| Some(line.split_once("met ")?.1))
        .collect();
    for what in [
        "execve", "fork", "vfork", "ptrace", "netlink", "packet", "mount", "rings", "code",
        "listen", "memfd", "setuid",
    ] {
        assert!(met.contains(&&*format!("{what}: 1")), "{what}: {met:?}");
    }
    assert!(
        met.contains(&"inet: 0") && met.contains(&"secret: 13"),
        "{met:?}"
    );
    assert_eq!(server.deliver(&["fred"], "Subject: y\r\n\r\ny").len(), 1);
}
