//! A call that bundles may make: contract, function, and what its arguments must be.

use alloy::primitives::{Address, U256, keccak256};
use carillon_settlement::interop::Call;

/// Bytes of a selector, and of a word behind it.
const SELECTOR: usize = 4;
const WORD: usize = 32;

/// What an argument must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// This value.
    Equal(U256),
    /// Not more.
    AtMost(U256),
    /// Not less.
    AtLeast(U256),
    /// The alias account of the owner who signed.
    OwnAlias,
}

/// A call that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    target: Address,
    function: Function,
    most_value: U256,
    conditions: Vec<(usize, Condition)>,
}

/// A function by its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    signature: String,
    selector: [u8; 4],
    parameters: Vec<Parameter>,
}

/// What is known of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    /// A word, of which so many low bits may be set.
    Number(usize),
    /// An address: a word, of which 160 bits may be set.
    Address,
    /// A word of which any bit may be set.
    Word,
    /// A word that says where the rest is.
    Dynamic,
}

impl Parameter {
    fn read(text: &str) -> Result<Self, String> {
        let size = |digits: &str, step: usize, most: usize| {
            let size = digits.parse::<usize>().ok();
            size.filter(|size| {
                digits == size.to_string()
                    && *size > 0
                    && *size <= most
                    && size.is_multiple_of(step)
            })
        };
        let wrong = || {
            format!(
                "`{text}` is no type that is known here: write address, bool, uint256 (with its size), int256, bytes32, bytes, string, or one of these with []"
            )
        };
        if let Some(item) = text.strip_suffix("[]") {
            return Self::read(item).map(|_| Self::Dynamic);
        }
        Ok(match text {
            "address" => Self::Address,
            "bool" => Self::Number(1),
            "bytes" | "string" => Self::Dynamic,
            _ => {
                if let Some(digits) = text.strip_prefix("uint") {
                    Self::Number(size(digits, 8, 256).ok_or_else(wrong)?)
                } else if let Some(digits) = text.strip_prefix("int") {
                    size(digits, 8, 256).ok_or_else(wrong)?;
                    Self::Word
                } else if let Some(digits) = text.strip_prefix("bytes") {
                    size(digits, 1, 32).ok_or_else(wrong)?;
                    Self::Word
                } else {
                    return Err(wrong());
                }
            }
        })
    }

    /// Bits above these are zero in what Solidity encodes.
    fn bits(self) -> usize {
        match self {
            Self::Number(bits) => bits,
            Self::Address => 160,
            Self::Word | Self::Dynamic => 256,
        }
    }
}

impl Function {
    /// Reads a signature like `supply(address,uint256,address,uint16)`.
    pub(super) fn read(signature: &str) -> Result<Self, String> {
        let inner = signature
            .split_once('(')
            .and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)));
        let name_of = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        let (_, inner) = inner
            .filter(|(name, _)| !name.is_empty() && name.chars().all(name_of))
            .ok_or_else(|| {
                format!("`{signature}` is no function: write it like transfer(address,uint256)")
            })?;
        let parameters = match inner {
            "" => Vec::new(),
            inner => inner
                .split(',')
                .map(Parameter::read)
                .collect::<Result<_, _>>()?,
        };
        let hash = keccak256(signature);
        Ok(Self {
            signature: signature.to_owned(),
            selector: [hash[0], hash[1], hash[2], hash[3]],
            parameters,
        })
    }
}

impl Rule {
    /// A rule without conditions.
    pub(super) fn new(target: Address, function: Function, most_value: U256) -> Self {
        Self {
            target,
            function,
            most_value,
            conditions: Vec::new(),
        }
    }

    /// One more condition; it must make sense for the parameter.
    pub(super) fn require(&mut self, index: usize, condition: Condition) -> Result<(), String> {
        let parameters = &self.function.parameters;
        let signature = &self.function.signature;
        let parameter = parameters.get(index).ok_or_else(|| {
            format!(
                "{signature} has {} arguments, and none with the index {index}: the first is 0",
                parameters.len()
            )
        })?;
        let fits = match condition {
            Condition::Equal(value) => {
                *parameter != Parameter::Dynamic && !above(value, parameter.bits())
            }
            Condition::AtMost(value) | Condition::AtLeast(value) => {
                matches!(parameter, Parameter::Number(bits) if !above(value, *bits))
            }
            Condition::OwnAlias => *parameter == Parameter::Address,
        };
        if !fits {
            return Err(format!(
                "argument {index} of {signature} cannot have this condition: equal is for single words, at_most and at_least are for unsigned numbers, own_alias is for addresses, and values must fit"
            ));
        }
        self.conditions.push((index, condition));
        Ok(())
    }

    pub(super) fn target(&self) -> Address {
        self.target
    }

    /// Whether it is about this function of this contract.
    pub(super) fn names(&self, target: Address, selector: &[u8]) -> bool {
        self.target == target && self.function.selector == selector
    }

    /// Whether a call that it names is as it must be; why not.
    pub(super) fn fits(&self, call: &Call, alias: Address) -> Result<(), String> {
        let Function {
            signature,
            parameters,
            ..
        } = &self.function;
        if call.value > self.most_value {
            return Err(format!(
                "{signature} with {} wei, of which the chain's policy allows {}",
                call.value, self.most_value
            ));
        }
        let words = call.data.get(SELECTOR..).unwrap_or_default();
        let heads = parameters.len() * WORD;
        let exact = !parameters.contains(&Parameter::Dynamic);
        if words.len() < heads || exact && words.len() != heads {
            return Err(format!("its data are no arguments of {signature}"));
        }
        for (index, (parameter, word)) in parameters.iter().zip(words.chunks(WORD)).enumerate() {
            let word = U256::from_be_slice(word);
            if above(word, parameter.bits()) {
                return Err(format!("argument {index} is none of {signature}"));
            }
            let conditions = self.conditions.iter();
            for (_, condition) in conditions.filter(|(of, _)| *of == index) {
                let held = match condition {
                    Condition::Equal(value) => word == *value,
                    Condition::AtMost(value) => word <= *value,
                    Condition::AtLeast(value) => word >= *value,
                    Condition::OwnAlias => word == U256::from_be_slice(alias.as_slice()),
                };
                if !held {
                    return Err(format!(
                        "argument {index} of {signature} is {word:#x}, and must be {}",
                        wanted(condition, alias)
                    ));
                }
            }
        }
        Ok(())
    }
}

fn wanted(condition: &Condition, alias: Address) -> String {
    match condition {
        Condition::Equal(value) => format!("{value:#x}"),
        Condition::AtMost(value) => format!("{value:#x} at most"),
        Condition::AtLeast(value) => format!("{value:#x} at least"),
        Condition::OwnAlias => format!("the owner's own alias account {alias}"),
    }
}

/// Whether a bit above the lowest `bits` is set.
fn above(value: U256, bits: usize) -> bool {
    value.bit_len() > bits
}
