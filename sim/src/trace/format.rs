//! The file of a trace: a header, then records, each with its length and a
//! checksum. Touches only what it is given to read or write.
//!
//! ```text
//! header   "CARTRACE"  version u32  CRC-32 of the twelve bytes before
//! record   length u32  CRC-32 of length and body  body (an Entry, postcard)
//! ```
//! All integers are little-endian. The last record of a complete file is
//! [`Record::End`]. Whatever is cut off or damaged, the records before it can
//! be read: the reader names the first byte of the record that cannot.

use std::io::{self, Read, Write};

use bytemuck::{Pod, Zeroable};

use super::record::{Entry, Record};

/// Version of the format that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;
/// Most bytes of one record's body.
pub const MAX_BODY: u32 = 4 << 20;
/// Most bytes of host memory in one record; longer memory takes several.
pub const MAX_DATA: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"CARTRACE";
const HEADER: usize = size_of::<FileHeader>();
const FRAME: usize = size_of::<FrameHeader>();

/// The first bytes of a file.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 8],
    version: u32,
    crc: u32,
}

impl FileHeader {
    /// Of all before it.
    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.magic);
        hasher.update(&self.version.to_le_bytes());
        hasher.finalize()
    }
}

/// The first bytes of a record.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FrameHeader {
    length: u32,
    crc: u32,
}

/// Why a trace cannot be read from here on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not a trace.
    #[error(
        "this is no Carillon trace (byte 0: header missing or damaged); record one with `carillon trace record`"
    )]
    NotATrace,
    /// A trace of another version.
    #[error(
        "the trace has format {found}, this program reads {FORMAT_VERSION}; use the program that recorded it"
    )]
    Version {
        /// The version in the header.
        found: u32,
    },
    /// The file ends within a record.
    #[error(
        "the trace ends within the record at byte {offset}: the recording process was killed, or the file was cut; everything before it is intact"
    )]
    Truncated {
        /// First byte of the record.
        offset: u64,
    },
    /// The file ends after a whole record that is not the end mark.
    #[error(
        "the trace has no end mark at byte {offset}: the recording process was killed, or the file was cut; everything before it is intact"
    )]
    NoEnd {
        /// Where the mark was expected.
        offset: u64,
    },
    /// A record's checksum or content is wrong.
    #[error(
        "the record at byte {offset} is damaged ({what}); everything before it is intact, copy the file again if it came over a network"
    )]
    Damaged {
        /// First byte of the record.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file could not be read.
    #[error(
        "cannot read the trace at byte {offset}: {source}; everything before it was read, check the disk"
    )]
    Io {
        /// First byte of the record.
        offset: u64,
        /// The system's error.
        source: io::Error,
    },
}

impl FormatError {
    /// Whether the file is merely cut short, as a killed process leaves it.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Truncated { .. } | Self::NoEnd { .. })
    }
}

/// The header of a file.
pub(super) fn header() -> [u8; HEADER] {
    let mut header = FileHeader {
        magic: MAGIC,
        version: FORMAT_VERSION,
        crc: 0,
    };
    header.crc = header.checksum();
    bytemuck::cast(header)
}

/// Whether a file is a recording, of any version, or what a full disk left of its beginning: nothing, or a part of the
/// header.
///
/// # Errors
/// The system's, when it cannot be read.
pub fn is_begun(input: &mut impl Read) -> io::Result<bool> {
    let mut begin = Vec::with_capacity(MAGIC.len());
    input.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    Ok(MAGIC.starts_with(&begin))
}

/// A record as it lies in a file.
///
/// # Errors
/// When it is longer than [`MAX_BODY`].
pub(super) fn frame(entry: &Entry) -> io::Result<Vec<u8>> {
    let body = postcard::to_extend(entry, vec![0; FRAME]).map_err(io::Error::other)?;
    let mut frame = body;
    let length = u32::try_from(frame.len() - FRAME)
        .ok()
        .filter(|&l| l <= MAX_BODY)
        .ok_or_else(|| io::Error::other("a record is too long for the trace's format"))?;
    let crc = checksum(length, &frame[FRAME..]);
    frame[..FRAME].copy_from_slice(bytemuck::bytes_of(&FrameHeader { length, crc }));
    Ok(frame)
}

fn checksum(length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// Writes a whole trace; for tests and tools.
///
/// # Errors
/// Those of `out`.
pub fn write<W: Write>(mut out: W, entries: &[Entry]) -> io::Result<()> {
    out.write_all(&header())?;
    for entry in entries {
        out.write_all(&frame(entry)?)?;
    }
    out.flush()
}

/// Reads a trace record by record. The first error is the last item.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    offset: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Records,
    Ended,
    Failed,
}

impl<R: Read> Reader<R> {
    /// Checks the header.
    ///
    /// # Errors
    /// [`FormatError::NotATrace`], [`FormatError::Version`], [`FormatError::Io`].
    pub fn new(mut input: R) -> Result<Self, FormatError> {
        let mut found = [0; HEADER];
        let got = fill(&mut input, &mut found, 0)?;
        let header: FileHeader = bytemuck::pod_read_unaligned(&found);
        if got != HEADER || header.magic != MAGIC || header.crc != header.checksum() {
            return Err(FormatError::NotATrace);
        }
        if header.version != FORMAT_VERSION {
            return Err(FormatError::Version {
                found: header.version,
            });
        }
        Ok(Self {
            input,
            offset: HEADER as u64,
            state: State::Records,
        })
    }

    /// First byte of the next record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn record(&mut self) -> Result<Option<Entry>, FormatError> {
        let offset = self.offset;
        let damaged = |what| FormatError::Damaged { offset, what };
        let mut start = [0; FRAME];
        match (
            fill(&mut self.input, &mut start, offset)?,
            self.state == State::Ended,
        ) {
            (0, true) => return Ok(None),
            (_, true) => return Err(damaged("it follows the end mark")),
            (0, false) => return Err(FormatError::NoEnd { offset }),
            (FRAME, false) => {}
            _ => return Err(FormatError::Truncated { offset }),
        }
        let FrameHeader { length, crc } = bytemuck::pod_read_unaligned(&start);
        if length > MAX_BODY {
            return Err(damaged("its length is impossible"));
        }
        let mut body = Vec::new();
        let mut rest = self.input.by_ref().take(length.into());
        let got = rest
            .read_to_end(&mut body)
            .map_err(|source| FormatError::Io { offset, source })?;
        if got != length as usize {
            return Err(FormatError::Truncated { offset });
        }
        if checksum(length, &body) != crc {
            return Err(damaged("its checksum is wrong"));
        }
        match postcard::take_from_bytes::<Entry>(&body) {
            Ok((entry, [])) => {
                self.offset += (FRAME + body.len()) as u64;
                Ok(Some(entry))
            }
            _ => Err(damaged("its content is none of this format")),
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Entry, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Failed {
            return None;
        }
        match self.record() {
            Ok(entry) => {
                let entry = entry?;
                if entry.record == Record::End {
                    self.state = State::Ended;
                }
                Some(Ok(entry))
            }
            Err(error) => {
                self.state = State::Failed;
                Some(Err(error))
            }
        }
    }
}

/// Reads until `out` is full or the input ends; the bytes read.
fn fill<R: Read>(input: &mut R, out: &mut [u8], offset: u64) -> Result<usize, FormatError> {
    let mut got = 0;
    while got < out.len() {
        match input.read(&mut out[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FormatError::Io { offset, source }),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::super::record::{Event, Rights};
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        prop_oneof![
            (any::<u32>(), any::<u32>()).prop_map(|(offset, value)| Record::Read { offset, value }),
            (any::<u32>(), any::<u32>())
                .prop_map(|(offset, value)| Record::Write { offset, value }),
            (any::<u64>(), any::<u64>()).prop_map(|(iova, bytes)| Record::Map {
                iova,
                bytes,
                rights: Rights::Read
            }),
            (any::<u64>(), proptest::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(iova, data)| Record::Memory { iova, data }),
            (any::<u16>(), any::<u16>(), any::<[u64; 8]>())
                .prop_map(|(queue, slot, words)| Record::Command { queue, slot, words }),
            (
                any::<u16>(),
                any::<u16>(),
                any::<[u64; 4]>(),
                any::<Option<u32>>()
            )
                .prop_map(|(queue, slot, words, data)| Record::Completion {
                    queue,
                    slot,
                    words,
                    data
                }),
            any::<Option<String>>().prop_map(|error| Record::Reset { error }),
            Just(Record::Event(Event::Removed)),
        ]
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let entry = (any::<u64>(), record()).prop_map(|(nanos, record)| Entry { nanos, record });
        proptest::collection::vec(entry, 0..20).prop_map(|mut entries| {
            entries.push(Entry {
                nanos: u64::MAX,
                record: Record::End,
            });
            entries
        })
    }

    fn file(entries: &[Entry]) -> Vec<u8> {
        let mut file = Vec::new();
        write(&mut file, entries).unwrap();
        file
    }

    /// What can be read, and how reading ended.
    fn read(file: &[u8]) -> Result<(Vec<Entry>, Option<FormatError>), FormatError> {
        let mut entries = Vec::new();
        for item in Reader::new(file)? {
            match item {
                Ok(entry) => entries.push(entry),
                Err(error) => return Ok((entries, Some(error))),
            }
        }
        Ok((entries, None))
    }

    /// First bytes of the records, and the end of the last.
    fn starts(entries: &[Entry]) -> Vec<u64> {
        let mut at = HEADER as u64;
        let mut starts = vec![at];
        for entry in entries {
            at += frame(entry).unwrap().len() as u64;
            starts.push(at);
        }
        starts
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(entries in entries()) {
            let (read, error) = read(&file(&entries)).unwrap();
            prop_assert!(error.is_none());
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn a_cut_is_named_and_all_before_it_is_read(entries in entries(), cut: prop::sample::Index) {
            let whole = file(&entries);
            let cut = cut.index(whole.len());
            match read(&whole[..cut]) {
                Err(FormatError::NotATrace) => prop_assert!(cut < HEADER),
                Ok((read, Some(error))) => {
                    let starts = starts(&entries);
                    let intact = starts.iter().filter(|&&s| s <= cut as u64).count() - 1;
                    prop_assert_eq!(&read[..], &entries[..intact]);
                    prop_assert!(error.is_cut(), "{}", error);
                    let at = starts[intact];
                    let text = error.to_string();
                    let byte = format!("byte {at}");
                    prop_assert!(text.contains(&byte), "{}", text);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn a_flipped_bit_is_named_and_all_before_it_is_read(
            entries in entries(),
            bit: prop::sample::Index,
        ) {
            let mut damaged = file(&entries);
            let bit = bit.index(damaged.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
            match read(&damaged) {
                Err(FormatError::NotATrace) => prop_assert!(bit / 8 < HEADER),
                Ok((read, Some(error))) => {
                    let starts = starts(&entries);
                    let hit = starts.iter().filter(|&&s| s <= (bit / 8) as u64).count() - 1;
                    prop_assert_eq!(&read[..], &entries[..hit]);
                    let (text, byte) = (error.to_string(), format!("byte {}", starts[hit]));
                    prop_assert!(text.contains(&byte), "{}", text);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = read(&[&header()[..], &bytes].concat());
        }
    }

    #[test]
    fn other_versions_and_what_follows_the_end_are_refused() {
        let mut other = header();
        other[8] = 9;
        let crc = crc32fast::hash(&other[..12]);
        other[12..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(
            read(&other).unwrap_err(),
            FormatError::Version { found: 9 }
        ));
        let end = [Entry {
            nanos: 0,
            record: Record::End,
        }];
        let mut long = file(&end);
        long.push(0);
        let (entries, error) = read(&long).unwrap();
        assert_eq!(entries.len(), 1);
        assert!(error.unwrap().to_string().contains("end mark"));
    }
}
