# 日本語

# コマンド
completed = { $command } が完了しました
expected-at = { $column } 桁目に必要です: { $what }
expected = 必要です: { $what }
too-long = コマンドが { $bytes } バイトを超えています
log-in-first = 先にログインしてください
select-first = 先にメールボックスを選択してください
not-for-selected = このコマンドは選択中のメールボックスには使えません
qresync-first = 使用する前に ENABLE QRESYNC が必要です
vanished-first = VANISHED の前に ENABLE QRESYNC が必要です
uid-required = ENABLE UIDONLY の後はメッセージ番号を使えません
no-more-numbers = メッセージ番号はもう通知されません
too-many-messages = 1 つのコマンドで扱えるメッセージ数を超えています
only-the-last = 最後のメッセージだけが処理されました
beyond-the-last = メッセージ番号が最後のメッセージを超えています
idle-not-offered = IDLE は提供されていません
starttls-not-offered = この接続では STARTTLS は提供されていません
begin-tls = TLS ハンドシェイクを開始してください
nothing-after-starttls = STARTTLS の後、ハンドシェイクの前に何も送れません
compress-not-offered = COMPRESS は提供されていません
only-deflate = 提供されているのは DEFLATE だけです
deflate-active-already = DEFLATE は COMPRESS によってすでに有効です
no-memory-for-compression = 現在そのためのメモリがありません。圧縮なしで続けてください
deflate-active = DEFLATE を有効にしました
literal-unasked = 4096 バイトを超えるリテラルは継続要求を待たなければなりません
no-charset = その文字セットは提供されていません
eight-bit-header = ASCII以外の文字を含むヘッダーにはENABLE UTF8=ACCEPTが必要です
no-language = 指定された言語はどれも使えません

# ログイン
logged-in = ログインしました
already-logged-in = すでにログインしています
logging-out = ログアウトします
cancelled = 中止しました
response-too-long = 応答が長すぎます
needs-tls = パスワードは TLS 経由か、このホストからのみ受け付けます
no-mechanism = その認証方式は提供されていません
no-binding = チャネルバインディングは提供されていません
too-many-failures = ログインの失敗が多すぎます
too-many-commands = ログイン前のコマンドが多すぎます
no-web-server = これは IMAP であり、ウェブサーバーではありません
authentication-failed = 認証に失敗しました
no-scope = トークンに必要な権限がありません
too-many-logins = 待機中のログインが多すぎます。後でもう一度お試しください

# セッション
autologout = 長時間操作がなかったため、ログアウトしました
still-here = 接続中です
at-work = 処理中です
messages-done = { $all } 通のうち { $done } 通を処理しました
shutting-down = サーバーを停止します。再接続してください
kicked = 管理者がセッションを終了しました
revoked = パスワードの変更、またはアカウントの削除・改名・ロックがありました。もう一度ログインしてください
no-memory = 送信された内容を処理するメモリがありません。後でもう一度お試しください
too-busy = サーバーが混み合っています。もう一度お試しください
too-many-requests = 待機中の要求が多すぎます。もう一度お試しください
large-operation = 大きな COPY または RENAME を実行中です。もう一度お試しください
large-operations = 実行中の大きな処理が多すぎます。もう一度お試しください
stopping = サーバーを停止しています
not-available = メールストアを利用できません: { $why }
see-the-log = サーバーのログを参照してください
server-mistake = サーバーで誤りが起きました。ログに記録されています
wrong-answer = メールストアの応答が予期しないものでした
disk-full = ディスクがいっぱいです

# 選択中のメールボックス
flags-kept = 保存されるフラグ
first-unseen = 最初の未読メッセージ
uids-valid = UID は有効です
next-uid = 次の UID
identifier = 識別子
highest = 最大値
highest-where = 読み取れない箇所
hear-later = 消えたメッセージは後で通知します
closed-before = 前に選択したメールボックスを閉じました
mailbox-deleted = 選択中のメールボックスが削除されました
may-not-read = 選択中のメールボックスを読む権限がなくなりました
mailbox-unreadable = メールボックスを読み取れません: { $why }
opened-read-only = メールボックスは読み取り専用で開かれています
too-long-ago = 前回の通知から時間が経ちすぎています。選択し直してください
flags-untold = フラグの変更を通知できません。再接続してください

# メッセージ
some-gone = いくつかのメッセージがなくなりました
some-changed = いくつかは他で変更されました
replaced = 差し替えのメッセージを保存しました
moved = 移動しました
none-match = 該当するメッセージはありません
no-message = そのメッセージはありません
too-large = メッセージが { $bytes } バイトを超えています
append-too-large = メッセージは { $bytes } バイトまでです
append-given-up = 最後のメッセージが空のため、APPEND を中止しました
ready-for-message = メッセージをどうぞ
ready-for-literal = リテラルをどうぞ
url-too-long = URL は { $bytes } バイトまでです
urls-bring-too-much = 一つのコマンドで URL が運べるのは { $bytes } バイトまでです
url-needs = URL に必要なもの: { $what }
url-none-selected = メールボックスが選択されていません
url-validity = メールボックスの UIDVALIDITY が異なります
url-no-part = メッセージにその部分はありません
url-unreadable = メッセージを読み取れません
url-mechanisms = URL の署名方式
url-no-mechanism = URL は INTERNAL でのみ署名されます
esearch-many = 一つのコマンドで検索できるメールボックスは { $count } 個までです
esearch-save = SAVE は選択中のメールボックスだけに使えます
esearch-update = 選択中のメールボックスは検索されません
idling = 待機中
unreadable = { $count } 通のメッセージを読み取れません
unsearchable = { $count } 通のメッセージを検索できません
unknown-encoding = 未知の符号化方式の部分があります
not-saved = 結果の部分が多すぎて保存できません
keywords-full = メールボックスのキーワードが上限に達しています
target-keywords-full = 移動先のキーワードが上限に達しています
no-uids-left = メールボックスの UID が残っていません
over-quota = 容量の上限を超えました

# メールボックス
no-mailbox = そのメールボックスはありません
exists = その名前のメールボックスはすでにあります
no-right = その操作を行う権限がありません
no-right-to-that = その操作を行う権限がありません
names-full = メールボックスと購読が上限に達しています
name-empty = メールボックス名を空にすることはできません
name-too-long = メールボックス名が 1024 バイトを超えています
level-empty = メールボックス名に空の階層があります
too-deep = メールボックスの階層は 32 までです
name-characters = メールボックス名に制御文字、%、* は使えません
name-composed = メールボックス名は正規化形式Cでなければなりません
inbox-stays = INBOX は削除できません
others-inbox-stays = 他の利用者の INBOX は改名できません
has-inferiors = 下位の名前があります。先に削除してください
below-itself = メールボックスを自身の下に移動できません
inferior-too-long = 下位のメールボックス名が長くなりすぎます
above-others = その名前の下には他の利用者のメールボックスがあります
one-special-use = 特別な用途はメールボックスごとに一つまでです
other-users = 他の利用者
shared-folders = 共有フォルダー

# 権限、容量、メタデータ
no-such-user = その名前の利用者はいません
not-to-anyone = ここでは全員に権限を与えることはできません
acl-full = アクセス制御リストの項目が上限に達しています
no-quota-root = その割り当てはありません
quota-by-admins = 割り当てを設定できるのは管理者だけです
shared-by-admins = 全員で共有する値を設定できるのは管理者だけです
value-too-large = 値は { $bytes } バイトまでです
metadata-full = メタデータが上限に達しています
entry-name = 項目の名前は /private または /shared の下にあります
admin-entry = /shared/admin は設定で決まります
