//! Addresses of PCI functions as Linux writes them. Pure.

use std::fmt;
use std::str::FromStr;

use super::PciError;

/// Where a PCI function is: domain, bus, device, function. Parsed from
/// `0000:03:00.0` or `03:00.0`; printed in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl PciAddress {
    /// An address from its parts; `None` if the device is above 31 or the
    /// function above 7.
    pub fn new(domain: u32, bus: u8, device: u8, function: u8) -> Option<Self> {
        (device < 32 && function < 8).then_some(Self {
            domain,
            bus,
            device,
            function,
        })
    }

    /// The domain (segment); 0 on most machines.
    pub fn domain(self) -> u32 {
        self.domain
    }

    /// The bus.
    pub fn bus(self) -> u8 {
        self.bus
    }

    /// The device on the bus, below 32.
    pub fn device(self) -> u8 {
        self.device
    }

    /// The function of the device, below 8.
    pub fn function(self) -> u8 {
        self.function
    }

    fn parse(text: &str) -> Option<Self> {
        let (rest, function) = text.split_once('.')?;
        let mut parts = rest.rsplit(':');
        let (device, bus, domain) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() {
            return None;
        }
        Self::new(
            domain.map_or(Some(0), |text| hex(text, 8))?,
            u8::try_from(hex(bus, 2)?).ok()?,
            u8::try_from(hex(device, 2)?).ok()?,
            u8::try_from(hex(function, 1)?).ok()?,
        )
    }
}

/// One to `most` hexadecimal digits; no sign, unlike `from_str_radix` alone.
fn hex(text: &str, most: usize) -> Option<u32> {
    let digits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(text, 16).ok())?
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!(
            "{:04x}:{:02x}:{:02x}.{:x}",
            self.domain, self.bus, self.device, self.function
        );
        f.pad(&text)
    }
}

impl FromStr for PciAddress {
    type Err = PciError;

    fn from_str(given: &str) -> Result<Self, PciError> {
        Self::parse(given).ok_or_else(|| PciError::Address {
            given: given.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_and_full_forms_are_read_and_the_full_one_is_written() {
        let cases = [
            ("0000:03:00.0", "0000:03:00.0"),
            ("03:00.0", "0000:03:00.0"),
            ("0:3:1f.7", "0000:03:1f.7"),
            ("10000:E1:00.0", "10000:e1:00.0"),
        ];
        for (given, written) in cases {
            assert_eq!(given.parse::<PciAddress>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for given in [
            "",
            "03",
            "03:00",
            "03:00.8",
            "03:20.0",
            "100:00.0",
            "0:0:0:0.0",
            "+3:00.0",
            "03:00.0 ",
            "sim:model",
            "03:00.0.0",
            ":03:00.0",
        ] {
            let error = given.parse::<PciAddress>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{given}`")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn addresses_survive_the_trip(domain: u32, bus: u8, device in 0u8..32, function in 0u8..8) {
            let address = PciAddress::new(domain, bus, device, function).unwrap();
            prop_assert_eq!(address.to_string().parse::<PciAddress>().unwrap(), address);
        }
    }
}
