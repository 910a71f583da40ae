// Opens INBOX, idles, fetches the first new message's envelope, prints its subject, logs out.
const { ImapFlow } = require("imapflow");

const { CLIENT_HOST, CLIENT_PORT, CLIENT_USER, CLIENT_PASSWORD } = process.env;

async function main() {
  const client = new ImapFlow({
    host: CLIENT_HOST,
    port: Number(CLIENT_PORT),
    secure: false,
    doSTARTTLS: false,
    auth: { user: CLIENT_USER, pass: CLIENT_PASSWORD },
    logger: false,
    qresync: true,
  });
  client.on("error", (failure) => console.log(`error ${failure.message}`));
  await client.connect();
  const { highestModseq, uidValidity } = await client.mailboxOpen("INBOX");
  // It has enabled IMAP4rev2: SEARCH is answered by ESEARCH.
  if (!client.enabled.has("IMAP4REV2")) {
    throw new Error(`enabled ${[...client.enabled]}`);
  }
  const exists = new Promise((heard) => client.once("exists", heard));
  client.idle().catch((failure) => console.log(`idle ${failure.message}`));
  const { count } = await exists;
  const wanted = { envelope: true, uid: true, threadId: true };
  const message = await client.fetchOne(String(count), wanted);
  console.log(`fetched ${message.envelope.subject}`);
  const { mailboxId } = client.mailbox;
  const known = await client.search({ emailId: message.emailId }, { uid: true });
  if (!/^F\d+$/.test(mailboxId) || !/^M\d+$/.test(message.emailId) || `${known}` !== `${message.uid}`) {
    throw new Error(`object ids ${mailboxId} ${message.emailId} of ${known}`);
  }
  console.log(`object ids ${mailboxId} ${message.emailId} ${message.threadId}`);
  const folders = await client.list({ statusQuery: { messages: true } });
  if (!folders.some((folder) => folder.path === "INBOX" && folder.status.messages === count)) {
    throw new Error(`listed ${JSON.stringify(folders)}`);
  }
  const quota = await client.getQuota("INBOX");
  if (!quota || quota.quotaRoot !== `user/${CLIENT_USER}`) {
    throw new Error(`quota ${JSON.stringify(quota)}`);
  }
  console.log(`quota ${JSON.stringify(quota)}`);
  await client.messageFlagsAdd({ uid: String(message.uid) }, ["\\Flagged"], { uid: true });
  // It enabled QRESYNC, so it hears of UIDs.
  const vanished = new Promise((heard) => client.once("expunge", heard));
  await client.messageDelete({ uid: String(message.uid) }, { uid: true });
  const gone = await vanished;
  if (!gone.vanished || gone.uid !== message.uid) {
    throw new Error(`vanished ${JSON.stringify(gone)}`);
  }
  // It comes back as of when it opened INBOX first.
  await client.mailboxClose();
  const earlier = new Promise((heard) => client.once("expunge", heard));
  await client.mailboxOpen("INBOX", { changedSince: highestModseq, uidValidity });
  const missed = await earlier;
  if (!missed.earlier || missed.uid !== message.uid) {
    throw new Error(`missed ${JSON.stringify(missed)}`);
  }
  await client.logout();
  console.log("logged out");
}

main().catch((failure) => {
  console.log(`failed ${failure.stack}`);
  process.exitCode = 1;
});
