//! Counts the messages in what is written on a WebSocket, by the frames' headers (RFC 6455, 5.2).
//!
//! What is written is the server's own: whole messages, not masked. Called by `guarded`.

/// See above. It begins with the answer that made a WebSocket of the connection.
#[derive(Debug)]
pub(super) struct Frames(At);

#[derive(Debug)]
enum At {
    /// In the HTTP answer, after so many bytes of the empty line that ends it.
    Handshake(usize),
    /// In a header of which these bytes are known.
    Header([u8; 10], usize),
    /// So many bytes before the end of a payload; whether a message ends with it.
    Payload(u64, bool),
}

const EMPTY_LINE: &[u8] = b"\r\n\r\n";
/// Opcodes from here on are those of control frames: close, ping, pong.
const CONTROL: u8 = 8;
const FINAL: u8 = 0x80;

impl Frames {
    pub fn new() -> Self {
        Self(At::Handshake(0))
    }

    /// How many messages end in these bytes, which follow on those before.
    pub fn messages(&mut self, mut bytes: &[u8]) -> usize {
        let mut messages = 0;
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.0 {
                At::Handshake(matched) => {
                    let next = if *first == EMPTY_LINE[*matched] {
                        *matched + 1
                    } else {
                        usize::from(*first == EMPTY_LINE[0])
                    };
                    self.0 = if next == EMPTY_LINE.len() {
                        At::Header([0; 10], 0)
                    } else {
                        At::Handshake(next)
                    };
                    bytes = rest;
                }
                At::Header(header, known) => {
                    header[*known] = *first;
                    *known += 1;
                    if let Some(length) = payload(header, *known) {
                        let data = header[0] & 0x0f < CONTROL;
                        self.0 = At::Payload(length, data && header[0] & FINAL != 0);
                    }
                    bytes = rest;
                }
                At::Payload(left, _) => {
                    let taken =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    *left -= taken as u64;
                    bytes = &bytes[taken..];
                }
            }
            if let At::Payload(0, message) = self.0 {
                messages += usize::from(message);
                self.0 = At::Header([0; 10], 0);
            }
        }
        messages
    }
}

/// The length of a frame's payload, once its header is known as a whole.
fn payload(header: &[u8; 10], known: usize) -> Option<u64> {
    let [_, short, long @ ..] = header;
    match (known, short & 0x7f) {
        (2, length @ 0..126) => Some(u64::from(length)),
        (4, 126) => Some(u64::from(u16::from_be_bytes([long[0], long[1]]))),
        (10, 127) => Some(u64::from_be_bytes(*long)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(length as u8),
            126..65536 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // Payloads that look like headers and ends of headers.
        frame.extend([0x81, 0x00, b'\r', b'\n'].iter().cycle().take(length));
        frame
    }

    #[test]
    fn messages_are_counted_however_their_bytes_are_cut() {
        let mut bytes = b"HTTP/1.1 101 \r\r\nUpgrade: websocket\r\n\r\n".to_vec();
        let lengths = [0, 1, 125, 126, 127, 65535, 65536, 70001];
        for length in lengths {
            bytes.extend(frame(0x81, length));
            // A ping, a pong, and a message in two frames.
            bytes.extend(frame(0x89, 4));
            bytes.extend(frame(0x8a, length.min(125)));
            bytes.extend(frame(0x02, length));
            bytes.extend(frame(0x80, 3));
        }
        bytes.extend(frame(0x88, 2));
        for cut in [1, 2, 3, 7, 64, 4096, bytes.len()] {
            let mut frames = Frames::new();
            let counted: usize = bytes.chunks(cut).map(|piece| frames.messages(piece)).sum();
            assert_eq!(counted, 2 * lengths.len(), "{cut}");
        }
        // A message counts when its last byte is written.
        let mut frames = Frames::new();
        assert_eq!(frames.messages(b"\r\n\r\n\x81\x02a"), 0);
        assert_eq!(frames.messages(b"b\x81\x00"), 2);
    }
}
