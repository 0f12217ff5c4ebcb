//! The kernel's messages about devices (uevents), over netlink. Any user may listen.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use carillon_driver::pci::PciAddress;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use tokio::sync::mpsc;

/// The group of messages that come from the kernel itself.
const KERNEL_GROUP: u32 = 1;
/// Longer than any message (the kernel's limit is 2 KiB).
const LARGEST: usize = 8192;
/// Milliseconds after which the thread looks whether anybody still listens.
const PATIENCE: i64 = 500;

/// One message: `KEY=value` pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pairs: BTreeMap<String, String>,
}

impl Message {
    /// Reads a message: a summary, then the pairs, each ended by a zero byte.
    pub fn parse(raw: &[u8]) -> Self {
        let pairs = raw
            .split(|&byte| byte == 0)
            .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { pairs }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    /// Whether it may be about a card.
    pub fn is_of_interest(&self) -> bool {
        matches!(self.get("SUBSYSTEM"), Some("pci" | "vfio" | "iommu"))
    }

    /// The card and the stage of its recovery from a bus error, if that is what it is about.
    pub fn recovery(&self) -> Option<(PciAddress, String)> {
        let stage = self.get("ERROR_EVENT")?;
        let card = self.get("PCI_SLOT_NAME")?.parse().ok()?;
        Some((card, stage.to_owned()))
    }
}

/// Messages as they arrive. A thread waits for them; it ends soon after this is dropped.
#[derive(Debug)]
pub struct KernelEvents {
    messages: mpsc::UnboundedReceiver<io::Result<Message>>,
}

impl KernelEvents {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system's, where netlink is not to be had (some containers).
    pub fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        let patience = TimeVal::milliseconds(PATIENCE);
        setsockopt(&socket, ReceiveTimeout, &patience)?;
        let (sender, messages) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("carillon-events".to_owned())
            .spawn(move || listen(&socket, &sender))?;
        Ok(Self { messages })
    }

    /// The next message of the kernel. Cancel-safe. Messages that were lost because nobody read
    /// them in time come as one message that causes a look.
    ///
    /// # Errors
    /// The socket's; it is of no more use then.
    pub async fn next(&mut self) -> io::Result<Message> {
        let ended = || Err(io::Error::other("the listening thread has ended"));
        self.messages.recv().await.unwrap_or_else(ended)
    }
}

fn listen(socket: &OwnedFd, messages: &mpsc::UnboundedSender<io::Result<Message>>) {
    let mut raw = vec![0; LARGEST];
    while !messages.is_closed() {
        let message = match recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut raw) {
            // Processes have ids; the kernel has none.
            Ok((len, Some(from))) if from.pid() == 0 => Message::parse(&raw[..len.min(LARGEST)]),
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(Errno::ENOBUFS) => lost(),
            Err(errno) => {
                let _ = messages.send(Err(errno.into()));
                return;
            }
        };
        // An error only means that the receiver is gone.
        let _ = messages.send(Ok(message));
    }
}

/// Stands for messages that were lost: it causes a look.
fn lost() -> Message {
    Message::parse(b"SUBSYSTEM=pci\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_apart() {
        let raw = b"change@/devices/pci0000:00/0000:03:00.0\0ACTION=change\0\
            DEVPATH=/devices/pci0000:00/0000:03:00.0\0SUBSYSTEM=pci\0\
            PCI_SLOT_NAME=0000:03:00.0\0ERROR_EVENT=BEGIN_RECOVERY\0DEVICE_ONLINE=0\0SEQNUM=9\0";
        let message = Message::parse(raw);
        assert!(message.is_of_interest());
        let (card, stage) = message.recovery().unwrap();
        assert_eq!(
            (card.to_string().as_str(), stage.as_str()),
            ("0000:03:00.0", "BEGIN_RECOVERY")
        );
        for other in [&b"add@/x\0SUBSYSTEM=net\0"[..], b"", b"\xff=\0=\0"] {
            let message = Message::parse(other);
            assert!(!message.is_of_interest() && message.recovery().is_none());
        }
        assert!(lost().is_of_interest());
    }

    #[tokio::test]
    async fn listening_needs_no_rights_and_waits() {
        let Ok(mut events) = KernelEvents::open() else {
            // A container without netlink: nothing to hear.
            return;
        };
        let waiting = std::time::Duration::from_millis(10);
        // Whatever the kernel says meanwhile, it is no error.
        if let Ok(message) = tokio::time::timeout(waiting, events.next()).await {
            message.unwrap();
        }
    }
}
