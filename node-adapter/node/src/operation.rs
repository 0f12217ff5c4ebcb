//! Operations as users send them (JSON) and as the log keeps them (bytes).
//!
//! | bytes | content |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | kind, as PROTOCOL.md numbers them |
//! | 2..6, 6..10, 10 | from, to, token |
//! | 11..27, 27..43 | amount, fee |
//! | 43..51 | nonce; of an entry of the L1 queue its index |
//! | 51..147 | w2, w3, w4 of the record |
//! | 147..211 | signature, R then s; zeros without |
//!
//! Integers are big-endian. The form is checked here; what needs the state is checked in `rollup`.
//! Called by `rpc`, `rollup` and `carillon-node send`.

use blstrs::Scalar;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::machine::Refusal;
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::json::hex_array;
use carillon_protocol::{Kind, Operation, Party, owner_word};

/// Bytes of an operation in the log.
pub const OPERATION_BYTES: usize = 211;
/// Version of the encoding.
const VERSION: u8 = 1;
/// Where the signature begins.
const SIGNATURE: usize = 147;

/// The bytes of the log.
pub fn encode(operation: &Operation) -> Vec<u8> {
    let mut out = Vec::with_capacity(OPERATION_BYTES);
    out.extend_from_slice(&[VERSION, operation.kind as u8]);
    out.extend_from_slice(&operation.from.to_be_bytes());
    out.extend_from_slice(&operation.to.to_be_bytes());
    out.push(operation.token);
    out.extend_from_slice(&operation.amount.to_be_bytes());
    out.extend_from_slice(&operation.fee.to_be_bytes());
    out.extend_from_slice(&operation.nonce.to_be_bytes());
    for word in &operation.words {
        out.extend_from_slice(&word.to_bytes_be());
    }
    out.extend_from_slice(&operation.signature);
    out
}

/// Reads [`encode`]'s bytes.
///
/// # Errors
/// [`Refusal`] for bytes that are no operation.
pub fn decode(bytes: &[u8]) -> Result<Operation, Refusal> {
    let refuse = |reason: &str| Refusal::new("encoding", reason);
    if bytes.len() != OPERATION_BYTES || bytes[0] != VERSION {
        return Err(refuse(
            "an operation has 211 bytes, the first of which is 1",
        ));
    }
    let number = |range: std::ops::Range<usize>| {
        let bytes = bytes[range].iter();
        bytes.fold(0u128, |sum, byte| sum << 8 | u128::from(*byte))
    };
    let small = |range| number(range) as u32;
    let word = |at: usize| {
        let mut word = [0; 32];
        word.copy_from_slice(&bytes[at..at + 32]);
        Option::from(Scalar::from_bytes_be(&word))
            .ok_or_else(|| refuse("a word is not below the field's order"))
    };
    let mut signature = [0; 64];
    signature.copy_from_slice(&bytes[SIGNATURE..]);
    Ok(Operation {
        kind: Kind::new(bytes[1]).ok_or_else(|| refuse("there is no such kind"))?,
        from: small(2..6),
        to: small(6..10),
        token: bytes[10],
        amount: number(11..27),
        fee: number(27..43),
        nonce: number(43..51) as u64,
        words: [word(51)?, word(83)?, word(115)?],
        signature,
    })
}

/// An operation in JSON: amounts are decimal strings, bytes are `0x` and hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OperationJson {
    /// From one account to another.
    Transfer {
        /// The account that pays.
        from: u32,
        /// The account that receives.
        to: u32,
        /// Token slot.
        token: u8,
        /// Amount.
        amount: String,
        /// Fee.
        fee: String,
        /// The sender's nonce.
        nonce: u32,
        /// R, then s.
        #[serde(with = "hex_array")]
        signature: [u8; 64],
    },
    /// Out to an address on L1.
    Withdraw {
        /// The account that pays.
        from: u32,
        /// Token slot.
        token: u8,
        /// Amount.
        amount: String,
        /// Fee.
        fee: String,
        /// The sender's nonce.
        nonce: u32,
        /// The address that is paid.
        #[serde(with = "hex_array")]
        recipient: [u8; 20],
        /// R, then s.
        #[serde(with = "hex_array")]
        signature: [u8; 64],
    },
    /// Out into a bundle of calls on L1.
    Bundle {
        /// The account that pays.
        from: u32,
        /// Token slot.
        token: u8,
        /// Amount.
        amount: String,
        /// Fee.
        fee: String,
        /// The sender's nonce.
        nonce: u32,
        /// keccak(bundle) >> 8.
        #[serde(with = "hex_array")]
        bundle: [u8; 32],
        /// The account's owner.
        #[serde(with = "hex_array")]
        owner: [u8; 20],
        /// R, then s.
        #[serde(with = "hex_array")]
        signature: [u8; 64],
    },
    /// To an account of another chain.
    Send {
        /// The account that pays.
        from: u32,
        /// Token slot.
        token: u8,
        /// Amount.
        amount: String,
        /// Fee.
        fee: String,
        /// The sender's nonce.
        nonce: u32,
        /// Who owns the account there.
        #[serde(with = "hex_array")]
        recipient: [u8; 20],
        /// The other chain's id.
        chain: String,
        /// Which leg of a flow it is; left out if it is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leg: Option<u8>,
        /// A message to the recipient, or the flow's id: 31 bytes.
        #[serde(with = "hex_array")]
        memo: [u8; 31],
        /// The account's owner.
        #[serde(with = "hex_array")]
        owner: [u8; 20],
        /// R, then s.
        #[serde(with = "hex_array")]
        signature: [u8; 64],
    },
    /// Another key for an account.
    SetKey {
        /// The account.
        from: u32,
        /// Token slot of the fee.
        token: u8,
        /// Fee.
        fee: String,
        /// The account's nonce.
        nonce: u32,
        /// The new key, compressed.
        #[serde(with = "hex_array")]
        key: [u8; 32],
        /// R, then s, by the present key.
        #[serde(with = "hex_array")]
        signature: [u8; 64],
    },
}

impl OperationJson {
    /// The operation, with its form checked.
    ///
    /// # Errors
    /// [`Refusal`] naming the field.
    pub fn into_operation(self) -> Result<Operation, Refusal> {
        let operation = self.parse()?;
        operation
            .check_form()
            .map_err(|error| Refusal::new("encoding", error.to_string()))?;
        Ok(operation)
    }

    /// The same with this signature.
    #[must_use]
    pub fn signed(mut self, by: [u8; 64]) -> Self {
        let (OperationJson::Transfer { signature, .. }
        | OperationJson::Withdraw { signature, .. }
        | OperationJson::Bundle { signature, .. }
        | OperationJson::Send { signature, .. }
        | OperationJson::SetKey { signature, .. }) = &mut self;
        *signature = by;
        self
    }

    fn parse(&self) -> Result<Operation, Refusal> {
        Ok(Operation {
            to: self.receiver(),
            amount: self.moved()?,
            words: self.words()?,
            ..self.common()?
        })
    }

    /// What all kinds have.
    fn common(&self) -> Result<Operation, Refusal> {
        let (OperationJson::Transfer {
            from,
            token,
            fee,
            nonce,
            signature,
            ..
        }
        | OperationJson::Withdraw {
            from,
            token,
            fee,
            nonce,
            signature,
            ..
        }
        | OperationJson::Bundle {
            from,
            token,
            fee,
            nonce,
            signature,
            ..
        }
        | OperationJson::Send {
            from,
            token,
            fee,
            nonce,
            signature,
            ..
        }
        | OperationJson::SetKey {
            from,
            token,
            fee,
            nonce,
            signature,
            ..
        }) = self;
        let fee = amount("fee", fee)?;
        Ok(Operation {
            signature: *signature,
            ..Operation::new(self.kind(), *from, *token, 0, fee, u64::from(*nonce))
        })
    }

    fn kind(&self) -> Kind {
        match self {
            OperationJson::Transfer { .. } => Kind::Transfer,
            OperationJson::Withdraw { .. } => Kind::Withdraw,
            OperationJson::Bundle { .. } => Kind::Bundle,
            OperationJson::Send { .. } => Kind::Send,
            OperationJson::SetKey { .. } => Kind::SetKey,
        }
    }

    /// The account that receives, 0 where none does.
    fn receiver(&self) -> u32 {
        match self {
            OperationJson::Transfer { to, .. } => *to,
            _ => 0,
        }
    }

    /// What leaves the account beside the fee.
    fn moved(&self) -> Result<u128, Refusal> {
        match self {
            OperationJson::Transfer { amount: value, .. }
            | OperationJson::Withdraw { amount: value, .. }
            | OperationJson::Bundle { amount: value, .. }
            | OperationJson::Send { amount: value, .. } => amount("amount", value),
            OperationJson::SetKey { .. } => Ok(0),
        }
    }

    /// w2, w3, w4 of the record.
    fn words(&self) -> Result<[Scalar; 3], Refusal> {
        let none = Scalar::from(0);
        Ok(match self {
            OperationJson::Transfer { .. } => [none; 3],
            OperationJson::Withdraw { recipient, .. } => {
                [word("recipient", recipient)?, none, none]
            }
            OperationJson::Bundle { bundle, owner, .. } => {
                [word("bundle", bundle)?, word("owner", owner)?, none]
            }
            OperationJson::Send {
                recipient,
                chain,
                leg,
                memo,
                owner,
                ..
            } => {
                let to = Party {
                    owner: *recipient,
                    chain: chain_id(chain)?,
                    leg: *leg,
                };
                [to.to_word(), owner_word(owner), word("memo", memo)?]
            }
            OperationJson::SetKey { key, .. } => {
                let key = PublicKey::from_bytes(key)
                    .map_err(|error| Refusal::new("encoding", format!("`key`: {error}")))?;
                let point = key.coordinates();
                [none, point.x, point.y]
            }
        })
    }
}

/// An operation of the log as people read it: in the form in which users send it, or, of an entry of
/// the L1 queue, with its account, index and owner.
pub fn shown(operation: &Operation) -> Value {
    let Operation {
        kind,
        from,
        to,
        token,
        amount,
        fee,
        nonce,
        words,
        signature,
    } = operation;
    let bytes = |word: &Scalar, count: usize| hex0x(&word.to_bytes_be()[32 - count..]);
    let key = |x: Scalar, y: Scalar| {
        let key = PublicKey::from_coordinates(&Point { x, y }).ok();
        key.map(|key| hex0x(&key.to_bytes()))
    };
    let [w2, w3, w4] = words;
    let mut json = json!({
        "token": token,
        "amount": amount.to_string(),
    });
    let fields = match kind {
        Kind::Transfer => json!({ "kind": "transfer", "to": to }),
        Kind::Withdraw => json!({ "kind": "withdraw", "recipient": bytes(w2, 20) }),
        Kind::Bundle => {
            json!({ "kind": "bundle", "bundle": bytes(w2, 32), "owner": bytes(w3, 20) })
        }
        Kind::Send => json!({ "kind": "send", "owner": bytes(w3, 20) }),
        Kind::Take => json!({ "kind": "take", "owner": bytes(w2, 20) }),
        Kind::Return => json!({ "kind": "return", "owner": bytes(w2, 20) }),
        Kind::SetKey => json!({ "kind": "set_key", "key": key(*w3, *w4) }),
        Kind::Deposit => {
            json!({ "kind": "deposit", "owner": bytes(w2, 20), "key": key(*w3, *w4) })
        }
        Kind::Exit => json!({ "kind": "exit", "owner": bytes(w2, 20) }),
        Kind::Import => json!({
            "kind": "import", "owner": bytes(w2, 20), "words": [bytes(w3, 32), bytes(w4, 32)],
        }),
    };
    let more = if kind.is_signed() {
        json!({
            "from": from, "fee": fee.to_string(), "nonce": nonce, "signature": hex0x(signature),
        })
    } else {
        let index = if kind.is_queued() {
            "queue_index"
        } else {
            "index"
        };
        json!({ "account": from, index: nonce.to_string() })
    };
    let between = match operation.other_end() {
        Ok(party) if kind.is_between_chains() => json!({
            other_end_name(*kind): hex0x(&party.owner),
            "chain": party.chain.to_string(),
            "leg": party.leg,
            "memo": bytes(w4, 31),
        }),
        _ => Value::Null,
    };
    for (name, value) in [fields, more, between]
        .into_iter()
        .filter_map(into_object)
        .flatten()
    {
        json[name] = value;
    }
    if json.get("leg").is_some_and(Value::is_null) {
        json.as_object_mut().map(|json| json.remove("leg"));
    }
    if *kind == Kind::SetKey {
        json.as_object_mut().map(|json| json.remove("amount"));
    }
    json
}

/// What the other end of an operation between chains is to it.
fn other_end_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Take => "sender",
        _ => "recipient",
    }
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// A decimal amount below 2^96.
fn amount(field: &str, text: &str) -> Result<u128, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = text
        .parse::<u128>()
        .ok()
        .filter(|value| digits && *value < 1 << 96);
    value.ok_or_else(|| {
        let reason = format!("`{field}` is a decimal string below 2^96, such as \"1000\"");
        Refusal::new("encoding", reason)
    })
}

/// A chain's id: a decimal string, as 64 bits are.
fn chain_id(text: &str) -> Result<u64, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.parse().ok().filter(|_| digits);
    id.ok_or_else(|| Refusal::new("encoding", "`chain` is a chain's id, such as \"271\""))
}

/// Big-endian bytes as a field element.
fn word(field: &str, bytes: &[u8]) -> Result<Scalar, Refusal> {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    Option::from(Scalar::from_bytes_be(&word)).ok_or_else(|| {
        let reason = format!("`{field}` is not below the field's order");
        Refusal::new("encoding", reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_and_names_do_not_depend_on_the_signature() {
        let operation = Operation {
            kind: Kind::Bundle,
            from: 1 << 20,
            to: 0,
            token: 63,
            amount: (1 << 96) - 1,
            fee: 12,
            nonce: 7,
            words: [Scalar::from(3), -Scalar::from(1), Scalar::from(0)],
            signature: [5; 64],
        };
        let bytes = encode(&operation);
        assert_eq!(bytes.len(), OPERATION_BYTES);
        assert_eq!(decode(&bytes).unwrap(), operation);
        let domain = carillon_protocol::Domain::local;
        let mut again = operation.clone();
        again.signature = [6; 64];
        assert_eq!(again.id(domain(270)), operation.id(domain(270)));
        assert_ne!(operation.id(domain(271)), operation.id(domain(270)));
        again.nonce += 1;
        assert_ne!(again.id(domain(270)), operation.id(domain(270)));
        for (at, byte) in [(0, 2), (1, 0), (1, 11), (51, 0xff)] {
            let mut wrong = bytes.clone();
            wrong[at] = byte;
            assert!(decode(&wrong).is_err(), "byte {at}");
        }
        assert!(decode(&bytes[1..]).is_err());
    }

    #[test]
    fn what_is_shown_is_what_was_sent() {
        let signature = hex0x(&[5; 64]);
        let key = hex0x(
            &carillon_protocol::crypto::schnorr::SecretKey::from_seed(&[3; 32])
                .public()
                .to_bytes(),
        );
        for sent in [
            json!({ "kind": "transfer", "from": 1, "to": 2, "token": 0, "amount": "100", "fee": "1",
                "nonce": 0, "signature": signature }),
            json!({ "kind": "withdraw", "from": 1, "token": 3, "amount": "100", "fee": "0",
                "nonce": 4, "recipient": hex0x(&[7; 20]), "signature": signature }),
            json!({ "kind": "bundle", "from": 1, "token": 0, "amount": "0", "fee": "1", "nonce": 0,
                "bundle": format!("0x00{}", "1f".repeat(31)), "owner": hex0x(&[9; 20]), "signature": signature }),
            json!({ "kind": "set_key", "from": 1, "token": 0, "fee": "1", "nonce": 2, "key": key,
                "signature": signature }),
            json!({ "kind": "send", "from": 1, "token": 2, "amount": "5", "fee": "1", "nonce": 3,
                "recipient": hex0x(&[7; 20]), "chain": u64::MAX.to_string(), "memo": hex0x(&[0xab; 31]),
                "owner": hex0x(&[9; 20]), "signature": signature }),
            json!({ "kind": "send", "from": 1, "token": 2, "amount": "5", "fee": "1", "nonce": 3,
                "recipient": hex0x(&[7; 20]), "chain": "271", "leg": 7, "memo": hex0x(&[0xab; 31]),
                "owner": hex0x(&[9; 20]), "signature": signature }),
        ] {
            let read: OperationJson = serde_json::from_value(sent.clone()).unwrap();
            assert_eq!(shown(&read.into_operation().unwrap()), sent);
        }
        let mut deposit = Operation::new(Kind::Deposit, 4, 0, 77, 0, 12);
        deposit.words[0] = Scalar::from(0xab);
        let shown = shown(&deposit);
        assert_eq!(
            (&shown["queue_index"], &shown["account"]),
            (&json!("12"), &json!(4))
        );
        assert_eq!(
            (&shown["amount"], &shown["key"]),
            (&json!("77"), &Value::Null)
        );
        assert!(shown["owner"].as_str().unwrap().ends_with("ab"), "{shown}");

        let mut take = Operation::new(Kind::Take, 4, 0, 77, 0, 12);
        let from = Party::new([7; 20], 271);
        take.words = [Scalar::from(0xab), from.to_word(), Scalar::from(1)];
        let taken = super::shown(&take);
        assert_eq!(
            taken,
            json!({ "kind": "take", "account": 4, "token": 0, "amount": "77", "index": "12",
                "owner": format!("0x{}ab", "00".repeat(19)), "sender": hex0x(&[7; 20]), "chain": "271",
                "memo": format!("0x{}01", "00".repeat(30)) })
        );
    }

    #[test]
    fn a_send_to_nobody_or_nowhere_is_refused() {
        let good = json!({
            "kind": "send", "from": 1, "token": 0, "amount": "5", "fee": "1", "nonce": 3,
            "recipient": hex0x(&[7; 20]), "chain": "271", "memo": hex0x(&[0; 31]),
            "owner": hex0x(&[9; 20]), "signature": hex0x(&[5; 64]),
        });
        let read = |json: &Value| {
            let json: OperationJson = serde_json::from_value(json.clone()).unwrap();
            json.into_operation().map_err(|error| error.to_string())
        };
        assert!(read(&good).is_ok());
        for (field, value) in [
            ("recipient", json!(hex0x(&[0; 20]))),
            ("owner", json!(hex0x(&[0; 20]))),
            ("chain", json!("0")),
            ("leg", json!(8)),
        ] {
            let mut wrong = good.clone();
            wrong[field] = value;
            let error = read(&wrong).unwrap_err();
            assert!(error.contains("send"), "{field}: {error}");
        }
    }

    #[test]
    fn json_is_read_strictly() {
        let good = serde_json::json!({
            "kind": "transfer", "from": 1, "to": 2, "token": 0, "amount": "100", "fee": "1",
            "nonce": 0, "signature": format!("0x{}", "00".repeat(64)),
        });
        let read = |json: &serde_json::Value| {
            let parsed = serde_json::from_value::<OperationJson>(json.clone());
            parsed
                .map_err(|error| error.to_string())
                .and_then(|json| json.into_operation().map_err(|error| error.to_string()))
        };
        assert_eq!(read(&good).unwrap().amount, 100);
        for (field, value, reason) in [
            ("amount", serde_json::json!(100), "string"),
            ("amount", serde_json::json!("+100"), "decimal string"),
            ("amount", serde_json::json!(""), "decimal string"),
            (
                "fee",
                serde_json::json!((1u128 << 96).to_string()),
                "below 2^96",
            ),
            ("signature", serde_json::json!("0x00"), "64 bytes"),
            ("kind", serde_json::json!("deposit"), "unknown variant"),
            ("colour", serde_json::json!("red"), "unknown field"),
        ] {
            let mut wrong = good.clone();
            wrong[field] = value;
            let error = read(&wrong).unwrap_err();
            assert!(error.contains(reason), "{field}: {error}");
        }
    }
}
