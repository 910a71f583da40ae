//! Which of the listeners on one port gets a new connection: the first, or any.
#![allow(unsafe_code, reason = "the option takes a structure of the kernel's")]

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

/// A handle on all listeners of a port that is shared with SO_REUSEPORT.
#[derive(Debug)]
pub struct Steering(TcpListener);

impl Steering {
    /// Of the port of one of its listeners.
    ///
    /// # Errors
    /// If the process has no more descriptors.
    pub fn of(listener: &TcpListener) -> io::Result<Self> {
        listener.try_clone().map(Self)
    }

    /// From now on new connections go to the listener that was bound first.
    ///
    /// # Errors
    /// If the port is not shared.
    pub fn first_only(&self) -> io::Result<()> {
        // A program of one instruction: return 0, the first socket's place (socket(7),
        // SO_ATTACH_REUSEPORT_CBPF).
        let mut instruction = libc::sock_filter {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: 0,
        };
        let program = libc::sock_fprog {
            len: 1,
            filter: &mut instruction,
        };
        self.set(libc::SO_ATTACH_REUSEPORT_CBPF, &program)
    }

    /// From now on the kernel deals new connections out.
    ///
    /// # Errors
    /// If they were not steered before.
    pub fn all(&self) -> io::Result<()> {
        self.set(libc::SO_DETACH_REUSEPORT_BPF, &0i32)
    }

    fn set<T>(&self, option: i32, value: &T) -> io::Result<()> {
        // SAFETY: the pointer and the length are those of a value that lives through the call, and
        // the kernel copies what it points to.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::listen::listeners;

    /// How many of `count` connections each listener gets.
    fn dealt(listeners: &[TcpListener], count: usize) -> Vec<usize> {
        let address = listeners[0].local_addr().expect("bound");
        let _clients: Vec<_> = (0..count)
            .map(|_| TcpStream::connect(address).expect("it listens"))
            .collect();
        let accepted = |listener: &TcpListener| {
            listener.set_nonblocking(true).expect("it is open");
            std::iter::from_fn(|| listener.accept().ok()).count()
        };
        listeners.iter().map(accepted).collect()
    }

    #[test]
    fn connections_go_to_the_first_until_they_are_dealt_out() {
        let loopback = ([127, 0, 0, 1], 0).into();
        let both = listeners("ens", "ens.port", loopback, 2).expect("free port");
        let steering = Steering::of(&both[0]).expect("a descriptor");
        steering.first_only().expect("the port is shared");
        assert_eq!(dealt(&both, 50), [50, 0]);
        steering.all().expect("they were steered");
        let any = dealt(&both, 200);
        assert_eq!(any[0] + any[1], 200);
        assert!(any[1] > 20, "{any:?}");
        steering.first_only().expect("again");
        assert_eq!(dealt(&both, 50), [50, 0]);
    }
}
