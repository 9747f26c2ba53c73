//! What may stand between us and a server: a TLS front with a private certificate authority, and an HTTP proxy.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;

/// A plain server behind a front.
#[derive(Clone)]
pub enum Behind {
    Port(u16),
    Socket(PathBuf),
}

/// Ends TLS for 127.0.0.1 before a plain server, with a certificate that only its own authority vouches for.
pub struct TlsFront {
    port: u16,
    directory: TempDir,
}

impl TlsFront {
    pub fn before(server: Behind) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();

        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let port = serve(move |client| {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            async move {
                // A client that does not trust us goes away in the middle of the handshake.
                if let Ok(client) = acceptor.accept(client).await {
                    relay(client, &server).await;
                }
            }
        });
        Self { port, directory }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority's certificate, as PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }
}

/// A proxy that opens tunnels (`CONNECT`), and remembers where to.
pub struct Proxy {
    port: u16,
    tunnels: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn start() -> Self {
        let tunnels = Arc::new(Mutex::new(Vec::new()));
        let seen = tunnels.clone();
        let port = serve(move |client| tunnel(client, seen.clone()));
        Self { port, tunnels }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `host:port` of every tunnel.
    pub fn tunnels(&self) -> Vec<String> {
        self.tunnels.lock().unwrap().clone()
    }
}

async fn tunnel(client: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut client = BufReader::new(client);
    let mut first = String::new();
    let mut line = String::new();
    while client.read_line(&mut line).await.is_ok_and(|read| read > 2) {
        if first.is_empty() {
            first = line.clone();
        }
        line.clear();
    }
    let Some(place) = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
        let _ = client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await;
        return;
    };
    seen.lock().unwrap().push(place.to_owned());
    let port = place.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        relay(client, &Behind::Port(port)).await;
    }
}

async fn relay(mut client: impl AsyncRead + AsyncWrite + Unpin, server: &Behind) {
    // Whoever of the two ends first ends the other; that is no failure of the relay.
    match server {
        Behind::Port(port) => {
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", *port)).await {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        }
        Behind::Socket(path) => {
            if let Ok(mut server) = UnixStream::connect(Path::new(path)).await {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        }
    }
}

/// Serves each connection on a port of its own; on a thread of its own, because tests block theirs.
fn serve<F: Future<Output = ()> + Send + 'static>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(handle(client));
            }
        });
    });
    port
}
