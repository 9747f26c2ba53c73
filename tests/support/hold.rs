//! A call that is held up in its middle until somebody lets it go: the moment at which a test does something else.

use tokio::sync::oneshot;

/// The end inside the call.
pub struct Hold {
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

/// The test's end.
pub struct Grip {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Hold {
    /// Both ends of one call to come.
    pub fn new() -> (Self, Grip) {
        let (reached, is_reached) = oneshot::channel();
        let (release, is_released) = oneshot::channel();
        (Self { reached, release: is_released }, Grip { reached: is_reached, release })
    }

    /// Waits until the call may go on; false when it never may, because the test let its end fall.
    pub async fn wait(self) -> bool {
        // Nobody waits for it any more: then nobody will let it go either.
        let _ = self.reached.send(());
        self.release.await.is_ok()
    }
}

impl Grip {
    /// Waits until the call is there; never ends when it does not come.
    pub async fn reached(&mut self) {
        if (&mut self.reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Lets the call go on.
    pub fn release(self) {
        // Its caller may be gone.
        let _ = self.release.send(());
    }
}
