//! `carillon-node chain lanes`, `bounce` and `collect` as processes: what nobody took goes back when it
//! is due, and what no chain takes back is paid.

use alloy::primitives::U256;

use super::network::Network;
use super::terminal::Terminal;
use super::test_contracts::PlainToken;

const A: usize = 0;
const B: usize = 1;
const DAY: u64 = 24 * 3600;

async fn send(net: &mut Network, entries: &[(u128, u64)]) {
    let records = entries.iter().map(|(amount, memo)| {
        let entry = net.entry(true, *amount, *memo);
        net.sends(A, B, &entry)
    });
    let records = records.collect();
    net.settle(A, records, vec![]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_goes_back_and_what_no_chain_takes_is_paid() {
    let mut net = Network::new(231, 2, 1_000).await;
    let user = Terminal::new(&net.world.anvil, net.sides[A].contract);
    let bounce = "chain bounce --from 77 --to 78";
    let none = user.refused(3, 4, bounce);
    assert!(none.contains("nothing of the lane"), "{none}");
    send(&mut net, &[(10, 1), (20, 2)]).await;
    net.world.warp(2 * DAY).await;
    send(&mut net, &[(30, 3)]).await;

    let lanes = user.succeeds(0, "chain lanes 78");
    let lane = lanes["lanes"].as_array().unwrap();
    let lane = lane.iter().find(|lane| lane["from"] == 77).unwrap();
    assert_eq!((&lane["sent"], &lane["taken"]), (&3.into(), &0.into()));
    assert_eq!(lane["in_transit"][0]["amount"], "60", "{lane}");
    assert_eq!(lane["oldest_not_taken"]["amount"], "10", "{lane}");
    let early = user.refused(3, 4, bounce);
    assert!(early.contains("can go back from"), "{early}");

    // Five days later the first batch is due, and the second is not.
    net.world.warp(5 * DAY + 60).await;
    let tried = user.succeeds(3, &format!("{bounce} --dry-run"));
    assert_eq!(tried["transaction"]["sent"], false, "{tried}");
    let done = user.succeeds(3, bounce);
    assert_eq!((&done["count"], &done["more"]), (&2.into(), &0.into()));
    assert_eq!(done["entries"][1]["amount"], "20", "{done}");
    let token = net.token;
    assert_eq!(net.transit(A, B, token).await, 30);
    let early = user.refused(3, 4, bounce);
    assert!(early.contains("can go back from"), "{early}");
    // They are imports in their sender's chain: nothing is to be collected.
    let nothing = user.refused(1, 4, "chain collect");
    assert!(nothing.contains("nothing waits"), "{nothing}");

    // The sending chain has ended: what comes back is its sender's on Ethereum.
    net.halt(A).await;
    let listed = user.succeeds(0, "chain list");
    assert_eq!(listed["chains"][0]["state"], "halted", "{listed}");
    let done = user.succeeds(3, bounce);
    assert_eq!(done["count"], 1, "{done}");
    let sender = net.world.user(1);
    assert_eq!(net.bounced(sender, token).await, 30);
    let theft = format!("chain collect --owner {sender} --to {}", net.world.user(2));
    let refused = user.refused(2, 4, &theft);
    assert!(
        refused.contains("may have them paid elsewhere"),
        "{refused}"
    );
    let balance = async || {
        let call = PlainToken::balanceOfCall { account: sender };
        net.world.view(token, &call).await.unwrap()
    };
    let before = balance().await;
    let paid = user.succeeds(2, &format!("chain collect --owner {sender}"));
    assert_eq!(paid["paid"][0]["amount"], "30", "{paid}");
    assert_eq!(balance().await - before, U256::from(30));
    let nothing = user.refused(1, 4, "chain collect");
    assert!(nothing.contains("nothing waits"), "{nothing}");
}
