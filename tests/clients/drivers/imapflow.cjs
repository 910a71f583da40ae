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
  });
  client.on("error", (failure) => console.log(`error ${failure.message}`));
  await client.connect();
  await client.mailboxOpen("INBOX");
  const exists = new Promise((heard) => client.once("exists", heard));
  client.idle().catch((failure) => console.log(`idle ${failure.message}`));
  const { count } = await exists;
  const message = await client.fetchOne(String(count), { envelope: true, uid: true });
  console.log(`fetched ${message.envelope.subject}`);
  const folders = await client.list({ statusQuery: { messages: true } });
  if (!folders.some((folder) => folder.path === "INBOX" && folder.status.messages === count)) {
    throw new Error(`listed ${JSON.stringify(folders)}`);
  }
  await client.messageFlagsAdd({ uid: String(message.uid) }, ["\\Flagged"], { uid: true });
  await client.logout();
  console.log("logged out");
}

main().catch((failure) => {
  console.log(`failed ${failure.stack}`);
  process.exitCode = 1;
});
