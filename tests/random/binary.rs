//! Binaries of modules and components: sections, one after the other.

/// One section, by places in the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    pub id: u8,
    pub start: usize,
    /// What is in it begins here, and goes on to its end.
    pub content: usize,
    pub end: usize,
}

/// All sections of a whole binary.
pub fn sections(bytes: &[u8]) -> Vec<Section> {
    let mut found = Vec::new();
    let mut reader = Reader { bytes, at: 8 };
    while reader.at < bytes.len() {
        let start = reader.at;
        reader.at += 1;
        let length = reader.number();
        found.push(Section { id: bytes[start], start, content: reader.at, end: reader.at + length });
        reader.at += length;
    }
    found
}

/// Reads on from a place.
pub struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    /// A number, seven bits a byte.
    pub fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.bytes[self.at];
            self.at += 1;
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    /// Bytes behind their number.
    pub fn list(&mut self) -> &'a [u8] {
        let length = self.number();
        self.at += length;
        &self.bytes[self.at - length..self.at]
    }
}
