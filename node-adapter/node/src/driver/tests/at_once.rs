//! Two batches on a simulated card at once.

use carillon_prover_api::{LeasedJob, PluginError};
use carillon_runtime::EngineKind;
use carillon_runtime::engine::open;
use tokio::sync::Barrier;

use super::*;

/// Proves on a card. The first two proofs begin together, and the first is kept back until the second
/// is with the driver.
struct Paired {
    card: EnginePlugin,
    both: Barrier,
    store: Arc<Store>,
}

#[async_trait]
impl ProverPlugin for Paired {
    fn keys(&self) -> Vec<KeyHash> {
        self.card.keys()
    }

    fn at_once(&self) -> usize {
        self.card.at_once()
    }

    async fn prove(
        &self,
        leased: &LeasedJob,
        progress: &dyn ProgressSink,
    ) -> Result<Proof, PluginError> {
        let number = leased.job.number;
        if number <= 2 {
            self.both.wait().await;
        }
        let proof = self.card.prove(leased, progress).await?;
        if number == 1 {
            eventually(|| {
                let row = self.store.batch(2).unwrap().unwrap();
                row.status == BatchStatus::Proved
            })
            .await;
        }
        Ok(proof)
    }
}

/// Batches are offered as soon as they are sealed, not when the one before is proved; settlement waits
/// for the first all the same.
#[tokio::test(flavor = "multi_thread")]
async fn two_batches_are_proved_at_once_on_a_card_and_settle_in_order() {
    let chain = Chain::new();
    let driver = chain.drive();
    chain.make_three_batches().await;
    // All are on the board before anybody proves.
    eventually(|| chain.board.status().len() == 3).await;
    let card = open(EngineKind::SimModel).await.unwrap();
    let plugin = Paired {
        card: chain.plugin(card),
        both: Barrier::new(2),
        store: Arc::clone(&chain.store),
    };
    assert_eq!(plugin.at_once(), 2);
    let prover = chain.prove_with(Arc::new(plugin));
    eventually(|| chain.all_final()).await;
    assert_eq!(*chain.ethereum.settled.lock().unwrap(), [1, 2, 3]);
    // The second was proved before the first, and told so.
    let proved = |event: &NodeEvent| match event {
        NodeEvent::BatchProved { batch } => Some(*batch),
        _ => None,
    };
    let proved: Vec<u64> = {
        let events = chain.events.lock().unwrap();
        events.iter().filter_map(proved).collect()
    };
    assert!(proved.iter().position(|b| *b == 2) < proved.iter().position(|b| *b == 1));
    chain.stop.cancel();
    let summary = prover.await.unwrap().unwrap();
    assert_eq!((summary.proved, summary.lost), (3, 0));
    driver.await.unwrap().unwrap();
}
