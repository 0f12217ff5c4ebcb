//! Whole messages over a Unix socket, descriptors beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
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

/// Waits until the socket can be read or written. A deadline counts for a whole
/// message, or for a question and its answer: a peer that moves a byte now and
/// then does not get more time for that.
fn ready(socket: &UnixStream, what: PollFlags, until: Option<Instant>) -> io::Result<()> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(socket, what)], left.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the other side has closed the connection.
pub fn hung_up(socket: &UnixStream) -> bool {
    let mut asked = [PollFd::new(socket, PollFlags::RDHUP)];
    let left = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
    // What cannot be asked is taken to be there.
    poll(&mut asked, Some(&Timespec::default())).is_ok()
        && asked.iter().any(|asked| asked.revents().intersects(left))
}

/// Sends a message, without a deadline if `until` is none; `header.bytes` is
/// filled in.
pub fn send(
    socket: &UnixStream,
    mut header: Header,
    body: &[u8],
    fds: &[BorrowedFd<'_>],
    until: Option<Instant>,
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
        ready(socket, PollFlags::OUT, until)?;
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(socket, &parts, &mut control, flags) {
            Ok(n) => {
                // Descriptors travel with the first byte, once.
                control.clear();
                sent += n;
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads until `out` is full; what came beside it goes to `fds`. `false` at the
/// end of the stream before the first byte.
fn fill(
    socket: &UnixStream,
    out: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    until: Option<Instant>,
) -> io::Result<bool> {
    let mut got = 0;
    while got < out.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut out[got..])];
        ready(socket, PollFlags::IN, until)?;
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = recvmsg(socket, &mut parts, &mut control, flags);
        let received = match received {
            Err(Errno::INTR | Errno::AGAIN) => continue,
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

/// The next message, all of it before `until`; `None` at the end of the stream.
pub fn receive(socket: &UnixStream, until: Option<Instant>) -> io::Result<Option<Message>> {
    let mut fds = Vec::new();
    let mut head = [0; HEADER_BYTES];
    if !fill(socket, &mut head, &mut fds, until)? {
        return Ok(None);
    }
    let header = Header::decode(&head).ok_or_else(|| refused("no header of vfio-user"))?;
    let mut body = vec![0; header.bytes as usize - HEADER_BYTES];
    if !body.is_empty() && !fill(socket, &mut body, &mut fds, until)? {
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
            send(&a, header(1), &[], &[], None).unwrap();
            send(&a, header(2), &copy, &[a.as_fd(), a.as_fd()], None).unwrap();
            send(&a, header(3), b"x", &[], None).unwrap();
        });
        let first = receive(&b, None).unwrap().unwrap();
        assert_eq!(
            (first.header.id, first.body.len(), first.fds.len()),
            (1, 0, 0)
        );
        let second = receive(&b, None).unwrap().unwrap();
        assert_eq!((second.header.id, second.fds.len()), (2, 2));
        assert!(second.body == large);
        assert_eq!(receive(&b, None).unwrap().unwrap().body, b"x");
        sender.join().unwrap();
        // It holds copies of the other end.
        drop(second);
        assert!(
            receive(&b, None).unwrap().is_none(),
            "the other side has closed"
        );
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        use std::io::Write as _;
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[0xff; 16]).unwrap();
        assert_eq!(
            receive(&b, None).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[1, 0, 9]).unwrap();
        drop(a);
        assert_eq!(
            receive(&b, None).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    /// One byte every few milliseconds is no reason to wait longer, in either direction.
    #[test]
    fn a_deadline_is_of_the_whole_message() {
        use std::io::Write as _;
        let limit = Duration::from_millis(200);
        let (mut a, b) = UnixStream::pair().unwrap();
        let drip = std::thread::spawn(move || {
            let head = Header {
                bytes: 1 << 20,
                ..header(1)
            };
            // Ends when the other side hangs up.
            let bytes = head.encode().into_iter().chain(std::iter::repeat(0));
            for byte in bytes.take(1 << 20) {
                if a.write_all(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let started = Instant::now();
        let error = receive(&b, Some(started + limit)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < 50 * limit, "{:?}", started.elapsed());
        drop(b);
        drip.join().unwrap();
        // A peer that takes nothing.
        let (a, _b) = UnixStream::pair().unwrap();
        let body = vec![0; 8 << 20];
        let error = send(&a, header(1), &body, &[], Some(Instant::now() + limit));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
