//! Another process asks for all connections.

use serde_json::json;

use super::{Asking, Failed, Tool};
use crate::handover::Hello;

impl Asking {
    /// Gives everything away; returns only with the reason why not.
    pub(super) fn upgrade(&self, hello: Hello, tool: &mut Tool) -> Result<u64, Failed> {
        if let Some(why) = self.giving.refusal(&hello) {
            return Err(Failed(why));
        }
        tool.say(&json!({ "upgrade": true }))?;
        std::io::Write::flush(&mut tool.output)?;
        tool.is_over = true;
        let stream = tool.output.get_ref().try_clone()?;
        Err(Failed(self.giving.give(stream, tool.pid, &hello)))
    }
}
