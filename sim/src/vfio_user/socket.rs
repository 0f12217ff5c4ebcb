//! Whole messages over a Unix socket, descriptors beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::wire::{HEADER_BYTES, Header, MAX_FDS};

/// A message as it came.
#[derive(Debug)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub body: Vec<u8>,
    /// Descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

fn refused(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Sends a message; `header.bytes` is filled in.
pub fn send(
    socket: &UnixStream,
    mut header: Header,
    body: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    header.bytes = u32::try_from(HEADER_BYTES + body.len())
        .map_err(|_| refused("a message of more than 4 GiB"))?;
    let head = header.encode();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(refused("more descriptors than one message takes"));
    }
    let total = head.len() + body.len();
    let mut sent = 0;
    while sent < total {
        let first = head.get(sent..).unwrap_or_default();
        let second = body
            .get(sent.saturating_sub(head.len())..)
            .unwrap_or_default();
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        match sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL) {
            Ok(n) => {
                // Descriptors travel with the first byte, once.
                control.clear();
                sent += n;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads until `out` is full; what came beside it goes to `fds`. `false` at the
/// end of the stream before the first byte.
fn fill(socket: &UnixStream, out: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<bool> {
    let mut got = 0;
    while got < out.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut out[got..])];
        let received = recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC);
        let received = match received {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                fds.extend(more);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(refused("descriptors were lost: too many in one message"));
        }
        if received.bytes == 0 {
            return match got {
                0 => Ok(false),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        got += received.bytes;
    }
    Ok(true)
}

/// The next message; `None` at the end of the stream.
pub fn receive(socket: &UnixStream) -> io::Result<Option<Message>> {
    let mut fds = Vec::new();
    let mut head = [0; HEADER_BYTES];
    if !fill(socket, &mut head, &mut fds)? {
        return Ok(None);
    }
    let header = Header::decode(&head).ok_or_else(|| refused("no header of vfio-user"))?;
    let mut body = vec![0; header.bytes as usize - HEADER_BYTES];
    if !body.is_empty() && !fill(socket, &mut body, &mut fds)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Message { header, body, fds }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn header(id: u16) -> Header {
        Header {
            id,
            command: 9,
            bytes: 0,
            reply: false,
            no_reply: false,
            error: None,
        }
    }

    #[test]
    fn messages_of_any_size_arrive_whole_with_their_descriptors() {
        let (a, b) = UnixStream::pair().unwrap();
        let large: Vec<u8> = (0..900_000u32).map(|i| i as u8).collect();
        let copy = large.clone();
        let sender = std::thread::spawn(move || {
            send(&a, header(1), &[], &[]).unwrap();
            send(&a, header(2), &copy, &[a.as_fd(), a.as_fd()]).unwrap();
            send(&a, header(3), b"x", &[]).unwrap();
        });
        let first = receive(&b).unwrap().unwrap();
        assert_eq!(
            (first.header.id, first.body.len(), first.fds.len()),
            (1, 0, 0)
        );
        let second = receive(&b).unwrap().unwrap();
        assert_eq!((second.header.id, second.fds.len()), (2, 2));
        assert!(second.body == large);
        assert_eq!(receive(&b).unwrap().unwrap().body, b"x");
        sender.join().unwrap();
        // It holds copies of the other end.
        drop(second);
        assert!(receive(&b).unwrap().is_none(), "the other side has closed");
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        use std::io::Write as _;
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[0xff; 16]).unwrap();
        assert_eq!(receive(&b).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[1, 0, 9]).unwrap();
        drop(a);
        assert_eq!(
            receive(&b).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
