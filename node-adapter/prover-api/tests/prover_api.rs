//! The prover API over real HTTP: leases, proofs right and wrong, tokens, restarts, and the loop of a
//! prover. The circuit is a small one; the API knows none.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use blstrs::Scalar;
use carillon_prover_api::{
    ApiOptions, BoardError, BoardOptions, EnginePlugin, Job, JobBoard, JobSource, KeyHash,
    LeasedJob, LocalSource, PluginError, Prepare, ProverClient, ProverPlugin, SourceError,
    StoreError, Tokens, WorkEvent, WorkOptions, router, serve, work,
};
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{self, Assignment, Proof, ProvingKey};
use carillon_runtime::progress::ProgressSink;
use carillon_workload::SquareChain;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const LOG2: u32 = 5;
const EAST: &str = "east-token-0123456789";
const WEST: &str = "west-token-0123456789";

/// The input of a job is the seed of a square chain.
struct Chain;

impl Prepare for Chain {
    fn assignment(&self, input: &[u8]) -> Result<Assignment, PluginError> {
        let seed: [u8; 8] = input
            .try_into()
            .map_err(|_| PluginError::Input("a seed has 8 bytes".into()))?;
        let circuit = SquareChain::with_witness(LOG2, u64::from_be_bytes(seed));
        groth16::synthesize(circuit).map_err(|error| PluginError::Input(error.to_string()))
    }
}

fn key() -> Arc<ProvingKey> {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    Arc::new(groth16::setup(SquareChain::blank(LOG2), &mut rng).unwrap())
}

fn job(number: u64, key: &ProvingKey) -> Job {
    let end = SquareChain::with_witness(LOG2, number).end().unwrap();
    Job {
        number,
        key: KeyHash::of(&key.vk),
        public_inputs: vec![end],
        input: number.to_be_bytes().to_vec(),
    }
}

fn plugin(key: &Arc<ProvingKey>) -> Arc<dyn ProverPlugin> {
    let engine = Arc::new(CpuEngine::new());
    Arc::new(EnginePlugin::new(engine).with(Arc::clone(key), Arc::new(Chain)))
}

async fn prove(key: &Arc<ProvingKey>, leased: &LeasedJob) -> Proof {
    plugin(key).prove(leased, &()).await.unwrap()
}

fn tokens(folder: &Path) -> Tokens {
    let path = folder.join("tokens");
    std::fs::write(&path, format!("east {EAST}\nwest {WEST}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Tokens::read(&path).unwrap()
}

/// A node's prover API on a port of its own.
struct Server {
    board: Arc<JobBoard>,
    url: String,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(folder: &Path, lease: Duration) -> Self {
        Self::on(folder, lease, "127.0.0.1:0", ApiOptions::default()).await
    }

    async fn on(folder: &Path, lease: Duration, address: &str, options: ApiOptions) -> Self {
        let options_of_board = BoardOptions {
            lease,
            ..BoardOptions::default()
        };
        let board = JobBoard::open(&folder.join("jobs.redb"), options_of_board).unwrap();
        let board = Arc::new(board);
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let routes = router(Arc::clone(&board), tokens(folder), options);
        let task = tokio::spawn(serve(listener, routes, stop.clone()));
        Self {
            board,
            url,
            stop,
            task,
        }
    }

    fn client(&self, token: &str, id: &str) -> ProverClient {
        ProverClient::new(&self.url, token, id).unwrap()
    }

    fn route(&self, route: &str) -> String {
        format!("{}/prover-jobs/v1/{route}", self.url)
    }

    /// Ends the server and the board with it.
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        drop(self.board);
    }
}

fn folder_with_jobs(key: &ProvingKey, jobs: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.redb");
    let board = JobBoard::open(&path, BoardOptions::default()).unwrap();
    board.add_key(&key.vk).unwrap();
    for number in 1..=jobs {
        board.add(&job(number, key)).unwrap();
    }
    folder
}

fn quick() -> WorkOptions {
    WorkOptions {
        poll: Duration::from_millis(10),
        backoff: Duration::from_millis(10),
        longest_backoff: Duration::from_millis(50),
        limit: None,
        at_once: None,
    }
}

fn silent(_: u64) -> Arc<dyn ProgressSink> {
    Arc::new(())
}

/// Waits for something that other tasks do, for ten seconds at most.
async fn until(mut reached: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_provers_prove_every_job_once() {
    let key = key();
    let folder = folder_with_jobs(&key, 6);
    let server = Server::start(folder.path(), Duration::from_secs(20)).await;
    let stop = CancellationToken::new();
    let mut provers = Vec::new();
    for (token, id) in [(EAST, "one"), (WEST, "two")] {
        let (client, plugin, stop) = (server.client(token, id), plugin(&key), stop.clone());
        provers.push(tokio::spawn(async move {
            work(&client, &plugin, &silent, &quick(), &stop, &|_| {}).await
        }));
    }
    until(|| {
        server
            .board
            .status()
            .iter()
            .all(|job| job.state == "proved")
    })
    .await;
    stop.cancel();
    let mut proved = 0;
    for prover in provers {
        let summary = prover.await.unwrap().unwrap();
        assert_eq!(summary.lost, 0);
        proved += summary.proved;
    }
    assert_eq!(proved, 6);
    for number in 1..=6 {
        let proof = server.board.proof(number).unwrap();
        groth16::verify(&key.vk, &job(number, &key).public_inputs, &proof).unwrap();
    }
    let text = reqwest::Client::new()
        .get(server.route("G16/status"))
        .bearer_auth(EAST)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&status["proved"], &status["open"]), (&json!(6), &json!(0)));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_lease_goes_to_another_prover_and_is_stale() {
    let key = key();
    let folder = folder_with_jobs(&key, 1);
    let server = Server::start(folder.path(), Duration::from_millis(900)).await;
    let (slow, fast) = (server.client(EAST, "slow"), server.client(WEST, "fast"));
    let keys = [KeyHash::of(&key.vk)];

    let first = slow.pick(&keys).await.unwrap().unwrap();
    assert_eq!((first.job.clone(), first.generation), (job(1, &key), 1));
    assert!(
        fast.pick(&keys).await.unwrap().is_none(),
        "one live lease a job"
    );
    // Heartbeats hold it beyond its first end.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(350)).await;
        slow.heartbeat(1, 1).await.unwrap();
    }
    assert!(fast.pick(&keys).await.unwrap().is_none());
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let second = fast.pick(&keys).await.unwrap().unwrap();
    assert_eq!(second.generation, 2);

    let proof = prove(&key, &first).await;
    let Err(SourceError::Stale(reason)) = slow.submit(&first, &proof).await else {
        panic!("a stale lease was accepted");
    };
    assert!(reason.contains("newest lease of this job is 2"), "{reason}");
    // Not even by showing the other's number.
    let stolen = LeasedJob {
        generation: 2,
        ..first.clone()
    };
    let Err(SourceError::Stale(reason)) = slow.submit(&stolen, &proof).await else {
        panic!("another's lease was accepted");
    };
    assert!(reason.contains("another prover"), "{reason}");
    assert!(slow.heartbeat(1, 1).await.is_err() && slow.fail(1, 1, "late").await.is_err());

    fast.submit(&second, &proof).await.unwrap();
    fast.submit(&second, &proof).await.unwrap();
    let other = prove(&key, &first).await;
    assert_ne!(other, proof, "proofs are blinded");
    let refused = fast.submit(&second, &other).await.unwrap_err().to_string();
    assert!(refused.contains("the job is proved"), "{refused}");
    assert_eq!(server.board.proof(1).unwrap(), proof);

    // The codes, as a prover of another make sees them.
    let http = reqwest::Client::new();
    for (route, number, status) in [
        ("heartbeat", 1, 409),
        ("heartbeat", 9, 404),
        ("fail", 9, 404),
    ] {
        let url = server.route(&format!("G16/{route}?id=slow"));
        let body = json!({ "job": number, "generation": 1 });
        let mut body = body.as_object().unwrap().clone();
        if route == "fail" {
            body.insert("reason".into(), json!("none"));
        }
        let answer = http.post(url).bearer_auth(EAST).json(&body).send().await;
        assert_eq!(answer.unwrap().status(), status, "{route} {number}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_proof_is_refused_and_the_job_offered_again() {
    let key = key();
    let folder = folder_with_jobs(&key, 2);
    let server = Server::start(folder.path(), Duration::from_secs(20)).await;
    let client = server.client(EAST, "one");
    let keys = [KeyHash::of(&key.vk)];
    let first = client.pick(&keys).await.unwrap().unwrap();
    let second = client.pick(&keys).await.unwrap().unwrap();
    let proof = prove(&key, &first).await;
    let other = prove(&key, &second).await;

    // A sound proof of something else.
    let Err(SourceError::Refused(reason)) = client.submit(&first, &other).await else {
        panic!("a proof of another job was accepted");
    };
    assert!(reason.contains("does not verify"), "{reason}");
    let again = client.pick(&keys).await.unwrap().unwrap();
    assert_eq!((again.job.number, again.generation), (1, 2));

    // Bytes that are no proof, another key's name, a body that is none: all 400, with the reason.
    let http = reqwest::Client::new();
    let send = |body: Value| {
        let url = server.route("G16/submit?id=one");
        http.post(url).bearer_auth(EAST).json(&body).send()
    };
    let text = format!("0x{}", hex::encode(proof.to_bytes()));
    let hash = keys[0].to_string();
    for (generation, key_hash, proof, reason) in [
        (2, hash.clone(), "0x1234".to_owned(), "2 bytes given"),
        (
            3,
            KeyHash([7; 32]).to_string(),
            text.clone(),
            "the job needs",
        ),
        (
            4,
            hash.clone(),
            "no hex".to_owned(),
            "not what this route takes",
        ),
    ] {
        let answer = send(json!({
            "job": 1, "generation": generation, "vk_hash": key_hash, "proof": proof
        }));
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 400);
        let body = answer.text().await.unwrap();
        assert!(body.contains(reason), "{body}");
        if generation < 4 {
            let next = client.pick(&keys).await.unwrap().unwrap();
            assert_eq!((next.job.number, next.generation), (1, generation + 1));
        }
    }
    // The honest one is still welcome.
    let honest = send(json!({ "job": 1, "generation": 4, "vk_hash": hash, "proof": text }));
    assert_eq!(honest.await.unwrap().status(), 204);
    assert_eq!(server.board.status()[0].failures, 3);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn untrusted_clients_and_bad_requests_are_refused() {
    let key = key();
    let folder = folder_with_jobs(&key, 1);
    let options = ApiOptions {
        body: 2048,
        timeout: Duration::from_millis(300),
        ..ApiOptions::default()
    };
    let lease = Duration::from_secs(20);
    let server = Server::on(folder.path(), lease, "127.0.0.1:0", options).await;
    let http = reqwest::Client::new();
    let hash = KeyHash::of(&key.vk);
    let good = format!("G16/peek?id=one&supported_vk_hashes={hash}");
    let honest = http.get(server.route(&good)).bearer_auth(WEST).send().await;
    assert_eq!(honest.unwrap().status(), 200);

    let wrong = http
        .get(server.route(&good))
        .bearer_auth("east")
        .send()
        .await;
    assert_eq!(wrong.unwrap().status(), 401);
    for route in ["pick", "submit", "heartbeat", "fail", "peek", "status"] {
        let url = server.route(&format!("G16/{route}?id=one&supported_vk_hashes={hash}"));
        let get = route == "peek" || route == "status";
        let request = if get { http.get(url) } else { http.post(url) };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{route}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }

    // A client without a token learns nothing of the paths there are; one with a token does.
    for path in [
        "",
        "/",
        "/prover-jobs",
        "/prover-jobs/v1/G16/nothing",
        "/metrics",
        "/%ff",
    ] {
        let url = format!("{}{path}", server.url);
        let stranger = http.get(&url).send().await.unwrap();
        assert_eq!(stranger.status(), 401, "{path}");
        let known = http.get(&url).bearer_auth(EAST).send().await.unwrap();
        assert_eq!(known.status(), 404, "{path}");
        let body = known.text().await.unwrap();
        assert!(body.contains("there is no such route"), "{body}");
    }
    let other = http.get(server.route("G16/pick")).bearer_auth(EAST).send();
    assert_eq!(other.await.unwrap().status(), 405);

    let post = |route: &str, body: String| {
        http.post(server.route(route))
            .bearer_auth(EAST)
            .body(body)
            .send()
    };
    for (route, status, reason) in [
        (
            format!("FRI/pick?id=one&supported_vk_hashes={hash}"),
            404,
            "no lane FRI",
        ),
        (
            format!("G16/pick?supported_vk_hashes={hash}"),
            400,
            "`id` names",
        ),
        (
            format!("G16/pick?id=a/b&supported_vk_hashes={hash}"),
            400,
            "`id` names",
        ),
        ("G16/pick?id=one".to_owned(), 400, "supported_vk_hashes"),
        (
            "G16/pick?id=one&supported_vk_hashes=12".to_owned(),
            400,
            "64 hex",
        ),
        (
            "G16/submit?id=one".to_owned(),
            400,
            "not what this route takes",
        ),
    ] {
        let answer = post(&route, "{}".into()).await.unwrap();
        assert_eq!(answer.status(), status, "{route}");
        let body = answer.text().await.unwrap();
        assert!(body.contains(reason), "{body}");
    }
    let long = post("G16/submit?id=one", " ".repeat(4096)).await.unwrap();
    assert_eq!(long.status(), 413);
    let unknown = format!("G16/pick?id=one&supported_vk_hashes={}", KeyHash([1; 32]));
    let nothing = post(&unknown, String::new()).await.unwrap();
    assert_eq!(
        nothing.status(),
        204,
        "no job for keys that are not asked for"
    );

    // A body that never comes.
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /prover-jobs/v1/G16/submit?id=one HTTP/1.1\r\nHost: x\r\n\
         Authorization: Bearer {EAST}\r\nContent-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    drop(stream);

    let error = ProverClient::new("https://node", EAST, "one").unwrap_err();
    assert!(error.to_string().contains("plain http"), "{error}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_jobs_leases_and_proofs() {
    let key = key();
    let folder = folder_with_jobs(&key, 2);
    let keys = [KeyHash::of(&key.vk)];
    let lease = Duration::from_secs(20);
    let server = Server::start(folder.path(), lease).await;

    let second = JobBoard::open(&folder.path().join("jobs.redb"), BoardOptions::default());
    assert!(matches!(second, Err(StoreError::InUse { .. })));

    let leased = server
        .client(EAST, "one")
        .pick(&keys)
        .await
        .unwrap()
        .unwrap();
    let proof = prove(&key, &leased).await;
    server.end().await;
    let server = Server::start(folder.path(), lease).await;
    // The lease is as live as before, and nobody else gets its job.
    let other = server
        .client(WEST, "two")
        .pick(&keys)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(other.job.number, 2);
    let client = server.client(EAST, "one");
    client.heartbeat(1, 1).await.unwrap();
    client.submit(&leased, &proof).await.unwrap();
    server.end().await;
    let server = Server::start(folder.path(), lease).await;
    assert_eq!(server.board.proof(1), Some(proof.clone()));
    // The answer to the first submission may have been lost with the server.
    server
        .client(EAST, "one")
        .submit(&leased, &proof)
        .await
        .unwrap();

    // The same job again is nothing new; another one under its number is refused.
    server.board.add(&job(1, &key)).unwrap();
    let mut forged = job(1, &key);
    forged.public_inputs = vec![Scalar::from(1)];
    let refused = server.board.add(&forged);
    assert!(matches!(refused, Err(BoardError::Differs { job: 1 })));
    forged.key = KeyHash([3; 32]);
    forged.number = 9;
    let refused = server.board.add(&forged);
    assert!(matches!(refused, Err(BoardError::UnknownKey { .. })));
    server.board.forget(&[1]).unwrap();
    assert_eq!(server.board.status().len(), 1);
    server.end().await;
}

/// A plug-in that never ends.
struct Stuck {
    key: KeyHash,
    started: Arc<AtomicBool>,
}

#[async_trait]
impl ProverPlugin for Stuck {
    fn keys(&self) -> Vec<KeyHash> {
        vec![self.key]
    }

    async fn prove(&self, _: &LeasedJob, _: &dyn ProgressSink) -> Result<Proof, PluginError> {
        self.started.store(true, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_stopped_provers_lose_no_job() {
    let key = key();
    let folder = folder_with_jobs(&key, 1);
    let server = Server::start(folder.path(), Duration::from_millis(900)).await;
    let started = Arc::new(AtomicBool::new(false));
    let stuck = || -> Arc<dyn ProverPlugin> {
        Arc::new(Stuck {
            key: KeyHash::of(&key.vk),
            started: Arc::clone(&started),
        })
    };
    let run = |id: &str, stop: CancellationToken| {
        let (client, plugin) = (server.client(EAST, id), stuck());
        tokio::spawn(async move { work(&client, &plugin, &silent, &quick(), &stop, &|_| {}).await })
    };

    // Killed: its lease ends by itself.
    let killed = run("killed", CancellationToken::new());
    until(|| started.load(Ordering::SeqCst)).await;
    // Heartbeats keep the lease of a prover that is only slow.
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(
        server.board.status()[0].holder.as_deref(),
        Some("east/killed")
    );
    assert_eq!(server.board.status()[0].generation, 1);
    killed.abort();
    until(|| server.board.status()[0].state == "open").await;

    // Stopped: it gives the lease back at once.
    started.store(false, Ordering::SeqCst);
    let stop = CancellationToken::new();
    let stopped = run("stopped", stop.clone());
    until(|| started.load(Ordering::SeqCst)).await;
    stop.cancel();
    let summary = stopped.await.unwrap().unwrap();
    assert_eq!((summary.proved, summary.lost), (0, 1));
    let status = &server.board.status()[0];
    assert_eq!(
        (status.state, status.generation, status.failures),
        ("open", 2, 2)
    );

    // The next one, in process, proves it through the same loop.
    let options = WorkOptions {
        limit: Some(1),
        ..quick()
    };
    let source = LocalSource::new(Arc::clone(&server.board), "local");
    let stop = CancellationToken::new();
    let summary = work(&source, &plugin(&key), &silent, &options, &stop, &|_| {}).await;
    assert_eq!(summary.unwrap().proved, 1);
    assert_eq!(server.board.status()[0].holder.as_deref(), Some("local"));
    server.end().await;
}

/// A plug-in whose card is out of service until it is fixed.
struct Broken {
    sound: Arc<dyn ProverPlugin>,
    fixed: AtomicBool,
}

#[async_trait]
impl ProverPlugin for Broken {
    fn keys(&self) -> Vec<KeyHash> {
        self.sound.keys()
    }

    async fn ready(&self) -> Result<(), PluginError> {
        match self.fixed.load(Ordering::SeqCst) {
            true => self.sound.ready().await,
            false => Err(PluginError::Engine("no card".into())),
        }
    }

    async fn prove(
        &self,
        leased: &LeasedJob,
        progress: &dyn ProgressSink,
    ) -> Result<Proof, PluginError> {
        self.sound.prove(leased, progress).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_whose_card_is_out_of_service_leases_nothing() {
    let key = key();
    let folder = folder_with_jobs(&key, 1);
    let server = Server::start(folder.path(), Duration::from_secs(20)).await;
    let broken = Arc::new(Broken {
        sound: plugin(&key),
        fixed: AtomicBool::new(false),
    });
    let plugin: Arc<dyn ProverPlugin> = Arc::clone(&broken) as _;
    let client = server.client(EAST, "broken");
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let prover = tokio::spawn(async move {
        let options = WorkOptions {
            limit: Some(1),
            ..quick()
        };
        let observe = move |event| seen.lock().unwrap().push(event);
        let stop = CancellationToken::new();
        work(&client, &plugin, &silent, &options, &stop, &observe).await
    });
    until(|| events.lock().unwrap().len() >= 3).await;
    let status = &server.board.status()[0];
    assert_eq!((status.state, status.generation), ("open", 0));
    broken.fixed.store(true, Ordering::SeqCst);
    assert_eq!(prover.await.unwrap().unwrap().proved, 1);
    let status = &server.board.status()[0];
    assert_eq!((status.generation, status.failures), (1, 0));
    for event in events.lock().unwrap().iter().take(3) {
        let WorkEvent::Waiting { reason, .. } = event else {
            panic!("{event:?}");
        };
        assert!(reason.contains("no card"), "{reason}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_waits_for_its_node_and_leaves_where_it_is_not_known() {
    let key = key();
    let folder = folder_with_jobs(&key, 1);
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = ProverClient::new(&format!("http://{address}"), EAST, "one").unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let plugin_of_key = plugin(&key);
    let prover = tokio::spawn(async move {
        let options = WorkOptions {
            limit: Some(1),
            ..quick()
        };
        let observe = move |event| seen.lock().unwrap().push(event);
        let stop = CancellationToken::new();
        work(&client, &plugin_of_key, &silent, &options, &stop, &observe).await
    });
    until(|| events.lock().unwrap().len() >= 3).await;
    let lease = Duration::from_secs(20);
    let server = Server::on(folder.path(), lease, &address, ApiOptions::default()).await;
    assert_eq!(prover.await.unwrap().unwrap().proved, 1);
    {
        let events = events.lock().unwrap();
        let pauses: Vec<Duration> = events
            .iter()
            .filter_map(|event| match event {
                WorkEvent::Waiting { pause, .. } => Some(*pause),
                _ => None,
            })
            .collect();
        assert_eq!(pauses[0] * 2, pauses[1], "waits grow");
        assert!(matches!(
            events.last(),
            Some(WorkEvent::Proved { job: 1, .. })
        ));
    }

    let stranger = server.client("no-such-token-0123", "one");
    let stop = CancellationToken::new();
    let ended = work(&stranger, &plugin(&key), &silent, &quick(), &stop, &|_| {}).await;
    assert!(matches!(ended, Err(SourceError::Unauthorised(_))));
    server.end().await;
}
