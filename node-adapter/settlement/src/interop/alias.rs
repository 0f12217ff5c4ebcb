//! Where alias accounts are. No I/O.
//!
//! Called by wallets and the node, which show a user the address that acts for him on Ethereum
//! before it exists.

use alloy::primitives::{Address, B256, keccak256};
use alloy::sol_types::{SolConstructor, SolValue};

use super::contracts::AliasAccount;
use crate::deploy::factory_address;

/// Salt of the alias account of `owner` on `chain_id`: `keccak256(abi.encode(chainId, owner))`.
pub fn alias_salt(chain_id: u64, owner: Address) -> B256 {
    keccak256((chain_id, owner).abi_encode())
}

/// The address of the alias account of `owner` on `chain_id` under an interop handler, whether it
/// exists or not (CREATE2, EIP-1014).
pub fn alias_address(handler: Address, chain_id: u64, owner: Address) -> Address {
    let arguments = AliasAccount::constructorCall {
        handler_: handler,
        chainId_: chain_id,
        owner_: owner,
    };
    let code = [AliasAccount::BYTECODE.as_ref(), &arguments.abi_encode()].concat();
    factory_address(handler).create2_from_code(alias_salt(chain_id, owner), code)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;

    use super::*;

    #[test]
    fn every_part_is_in_the_address() {
        let handler = address!("1111111111111111111111111111111111111111");
        let owner = address!("2222222222222222222222222222222222222222");
        let here = alias_address(handler, 7, owner);
        assert_eq!(here, alias_address(handler, 7, owner));
        for other in [
            alias_address(handler, 8, owner),
            alias_address(handler, 7, handler),
            alias_address(owner, 7, owner),
        ] {
            assert_ne!(here, other);
        }
        // The salt alone tells chains and owners apart, too.
        assert_ne!(alias_salt(7, owner), alias_salt(8, owner));
        assert_ne!(alias_salt(7, owner), alias_salt(7, handler));
    }

    #[test]
    fn the_salt_is_two_words() {
        let owner = address!("2222222222222222222222222222222222222222");
        let mut words = [0; 64];
        words[31] = 7;
        words[44..].fill(0x22);
        assert_eq!(alias_salt(7, owner), keccak256(words));
    }
}
