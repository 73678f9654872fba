"""Every bound on what is read from a study, an archive, a message or git, once.

`docs/reference/limits.md` lists them all; a test holds the two together. Sizes are in bytes, times in seconds.
"""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

# --- numbers

MAX_SIZE_BYTES = 1024 * TIB
"""The largest size of memory or of a file that a study, a task or a setting may name."""

MAX_DURATION_SECONDS = 366 * 86400
"""The longest time that a study, a task or a setting may name."""

MIN_CPUS = 0.01
"""The least share of a processor that an action may ask for: container engines take less for "no limit"."""

MAX_CPUS = 10_000
"""The most processors that an action may ask for."""

MIN_MEMORY_BYTES = 6 * MIB
"""The least memory that an action may ask for: container engines start nothing in less."""

MIN_TIMEOUT_SECONDS = 1
"""The shortest time limit that an action may ask for."""

MAX_POPULATION_SIZE = 1_000_000_000
"""The largest `population_size` of a project file's `expectations`."""

# --- project.yaml, backends.yaml, action.yaml

MAX_PROJECT_BYTES = MIB
"""Longest project file that is read, in bytes of UTF-8."""

MAX_PROJECT_EXPANDED = 8 * MAX_PROJECT_BYTES
"""Most that a file with aliases may stand for once they are followed, in characters (and one for each node)."""

MAX_PROJECT_DEPTH = 100
"""Deepest nesting of lists and mappings in a project file."""

MAX_ARGUMENT_BYTES = 128 * KIB
"""Longest argument of a command, with the NUL that ends it: the kernel's own limit."""

MAX_COMMAND_BYTES = 2 * MIB - MAX_ARGUMENT_BYTES
"""Most that a command's arguments take, each with its end and its pointer: the kernel's 2 MiB, less the environment."""

MAX_ACTIONS = 5_000
"""Most actions of a project file."""

MAX_NEEDS = 1_000
"""Most entries in the `needs` of an action."""

MAX_OUTPUTS = 1_000
"""Most outputs of an action at one level."""

MAX_BACKENDS = 100
"""Most backends that a `run_on` or a `run` of a project file names: every rule is looked at once for each."""

MAX_ACTION_NAME = 200
"""Longest name of an action or of an output, in characters: actions give files their names."""

MAX_BACKEND_NAME = 100
"""Longest name of a backend, in characters."""

MAX_OUTPUT_PATH = 1_000
"""Longest path of an output, in characters."""

MAX_FILE_NAME_BYTES = 251
"""Longest name of an output's file or folder, in bytes of UTF-8: file systems take 255, and level 4 adds `.txt`."""

MAX_FINDINGS = 10_000
"""Most problems of a project file that are noted; what comes after them is not looked at."""

MAX_MESSAGE = 2_000
"""Longest message about a project file, in characters: what it quotes is cut there."""

MAX_OVERLAP_STEPS = 2_000_000
"""Most steps (letters of one pattern times letters of the other) in the search for files with two levels."""

# --- git

MAX_GIT_FILE_BYTES = 16 * MIB
"""Largest single file (and folder's list of names) that is read out of a repository at a commit."""

MAX_GIT_ANSWER_BYTES = 16 * MIB
"""Longest answer of one git command that is listened to."""

MAX_DIFF_BYTES = MIB
"""Longest comparison of two commits that is read; what is longer is cut there."""

MAX_GIT_MEMORY_BYTES = GIB
"""Most memory that a git process may take for its own data."""

MAX_GIT_PACK_BYTES = 4 * GIB
"""Largest file that git may write: so much of a repository is fetched at once, and no more."""

MAX_GIT_ENTRIES = 100_000
"""Most files and folders of a commit that is checked out."""

MAX_CHECKOUT_BYTES = 4 * GIB
"""Most bytes that the files of a commit have together when it is checked out."""

MAX_GIT_DEPTH = 64
"""Deepest folder of a commit that is checked out."""

MAX_GIT_PATH_BYTES = 2_048
"""Longest path of a file of a commit that is checked out, in bytes."""

MAX_GIT_LINKS = 1_000
"""Most symbolic links of a commit that is checked out, or of a study's folder that is run."""

MAX_LINK_BYTES = 1_024
"""Longest target of a symbolic link of a study, in bytes."""

MAX_LINK_STEPS = 1_000_000
"""Most folders and links that following all symbolic links of a study may lead through."""

# --- what a job leaves

MAX_WALK_DEPTH = 64
"""Deepest folder below a job's folder that is looked into."""

MAX_WALK_ENTRIES = 1_000_000
"""Most files and folders of a study's folder that are looked at."""

MAX_JOB_ENTRIES = 200_000
"""Most files and folders that a job may leave in its folder, outputs or not."""

MAX_OUTPUT_FILES = 10_000
"""Most outputs of one job."""

MAX_OUTPUT_BYTES = 256 * GIB
"""Most that the outputs of one job may hold together, by their sizes and by the room they take on disk."""

MAX_OUTPUT_NAME_BYTES = 251
"""Longest name of an output: four bytes less than file systems hold, for the `.txt` of its level 4 message."""

MAX_OUTPUT_PATH_BYTES = 1024
"""Longest path of an output below its workspace."""

MAX_WORKSPACE_OUTPUTS = 100_000
"""Most outputs that one workspace's manifest may list."""

MAX_FINALISE_SECONDS = 4 * 3600
"""Longest time that the outputs of one job may take to be read, checked and stored."""

MAX_LISTED = 200
"""Most file names of one kind that a log, a message or a record lists; then it says how many more there are."""

MAX_COUNTED_BYTES = 64 * MIB
"""Largest CSV file whose rows and columns are counted for the manifest."""

MAX_JOURNAL_BYTES = 64 * MIB
"""Largest journal of one publication."""

# --- tables and files on their way to level 4

READ_BLOCK_BYTES = 64 * KIB
"""A file is read in blocks of this size where it is looked through."""

MAX_TABLE_LINE = MIB
"""Longest line of a table, in characters."""

MAX_TABLE_RECORD = MIB
"""Longest record of a table (a row whose quoted fields have line breaks), in characters, give or take a block."""

MAX_TABLE_CELLS = 500_000
"""Most cells of one table that the disclosure rules look at."""

MAX_TABLE_COLUMNS = 2_000
"""Most columns of one table that the disclosure rules look at."""

MAX_TABLE_JSON = 4 * MIB
"""Longest JSON document whose tables the disclosure rules look at, in characters."""

MAX_IDENTIFIER_LIST_BYTES = MIB
"""Longest list of a backend's own identifier-like column names."""

MAX_TABLE_PARAGRAPHS = 10_000
"""Most paragraphs of a text that are searched for tables."""

MAX_LEVEL4_PARTS = 1_000_000
"""Most elements of a page, values of a JSON document or files within one file that the level 4 gate looks through."""

MAX_LEVEL4_MENTIONS = 10_000
"""Most times that one file may name a barred column in prose before the level 4 gate gives it up."""

MAX_LEVEL4_NESTING = 3
"""How deep the level 4 gate looks into files within files (a page within a page's data URI)."""
# --- requests to the servers

MAX_REQUEST_BYTES = 32 * MIB
"""Longest body of a request to the controller."""

MAX_UNKNOWN_REQUEST_BYTES = 64 * KIB
"""Longest body that is taken before the caller's token is known."""

MAX_FORM_BYTES = 2 * MIB
"""Longest body that is taken from a browser that has signed in: a run page with all its boxes ticked."""

MAX_FORM_FIELDS = 20_000
"""Most fields of one form."""

MAX_REQUEST_HEADER_BYTES = 64 * KIB
"""Longest head of a request to the controller."""

MAX_ANSWER_BYTES = 64 * MIB
"""Longest answer of a controller, a job server, a registry or a server of codelists that is read, unpacked."""

MAX_JOB_REQUEST_PAGES = 100
"""Most pages of `job-requests/` that a controller reads of a job server, one after another; all their answers together
are at most MAX_ANSWER_BYTES."""

MAX_POSTED_BYTES = 2 * MIB
"""Most bytes of jobs that a controller posts to a job server at once, unless a single request has more."""

MAX_RELEASE_FILES = 5_000
"""Most files of one release."""

MAX_DOWNLOAD_BYTES = 4 * GIB
"""Most bytes of released files that are sent as one zip."""

# --- archives and their JSON

MAX_ARCHIVE_BYTES = 8 * GIB
"""Largest archive that is fetched and opened."""

MAX_ARCHIVE_ENTRIES = 1_000
"""Most files in one archive."""

MAX_ARCHIVE_DIRECTORY_BYTES = 4 * MIB
"""Longest central directory of a zip, which is read before its entries can be counted."""

MAX_ENTRY_PATH_BYTES = 1_024
"""Longest path of a file in an archive, in bytes of UTF-8."""

MAX_ENTRY_BYTES = 4_000_000_000
"""Largest file in an archive, unpacked."""

MAX_UNPACKED_BYTES = 8_000_000_000
"""Most that all files of an archive may come to, unpacked."""

MAX_UNPACKED_RATIO = 200
"""Most that an archive may grow by when it is unpacked, as a multiple, once it unpacks to 10 MB."""

MAX_JSON_WHOLE_BYTES = 256 * MIB
"""Largest JSON file that is parsed at once; a long array of smaller elements may be larger."""

MAX_POINTER_CHARACTERS = 2_000
"""Longest JSON pointer at which the ledger says that a key is repeated; it is cut there."""

MAX_TABLES = 500
"""Most tables of one dataset, unless the mapping says otherwise (`max_tables`)."""

MAX_COLUMNS = 2_000
"""Most columns of data in one table, unless the mapping says otherwise (`max_columns`)."""

MAX_METADATA_BYTES = 4 * MIB
"""Largest metadata of a record: its sidecar, or `metadata.json` where there is none."""

MAX_JSON_DEPTH = 100
"""Deepest nesting of an archive's JSON document."""

MAX_ID_CHARACTERS = 500
"""Longest id of a record, assessment, app or participant in an archive's metadata."""

MAX_URI_CHARACTERS = 2_000
"""Longest URI by which an archive names a schema."""

# --- messages of queues

MAX_MESSAGE_BYTES = MIB
"""Longest message of a queue that is read, in bytes of UTF-8."""

MAX_MESSAGE_OBJECTS = 1_000
"""Most objects that one message of a queue may name."""

# --- catalogues of data, and the SQL that is held against them

MAX_CATALOGUE_BYTES = 16 * MIB
"""Longest catalogue of one backend, as JSON in UTF-8."""

MAX_CATALOGUE_TABLES = 5_000
"""Most tables of one catalogue."""

MAX_CATALOGUE_COLUMNS = 100_000
"""Most columns that the tables of one catalogue have together."""

MAX_CATALOGUE_NAME = 256
"""Longest name of a database, data set, schema, table or column in a catalogue, in characters."""

MAX_CATALOGUE_TEXT = 4_000
"""Longest description, type, or other text of a catalogue, in characters."""

MAX_CATALOGUE_VERSIONS = 20
"""Most versions that a catalogue lists of one table: the newest ones."""

MAX_NOTES_BYTES = 4 * MIB
"""Longest file of a backend's notes on its data, in bytes of UTF-8."""

MAX_SQL_BYTES = 256 * KIB
"""Longest SQL file whose tables and columns are looked up in catalogues, in bytes of UTF-8."""

MAX_SQL_DEPTH = 100
"""Deepest nesting of brackets in SQL whose tables and columns are looked up in catalogues."""

MAX_STUDY_SQL_BYTES = 8 * MIB
"""Most SQL of one study's actions together that is held against catalogues at once."""

MAX_SEARCH_CHARACTERS = 200
"""Longest text that is searched for in catalogues."""

MAX_DUMMY_ROWS = 1_000_000
"""Most rows of dummy data that are made from a catalogue at once."""

# --- what stands beside outputs, and their versions

MAX_ACRO_OUTPUTS = 1_000
"""Most outputs of one `results.json` of ACRO."""

MAX_ACRO_FILES = 5_000
"""Most files that one `results.json` of ACRO names."""

MAX_ACRO_CELLS = 100_000
"""Most cells that one `results.json` of ACRO flags."""

MAX_ACRO_TEXT = 4_000
"""Longest command, summary, comment or name of ACRO's results, in characters: it is cut there."""

MAX_COMPARED_LINES = 20_000
"""Most lines of a text whose versions are compared line by line."""

# --- release requests

MAX_MANIFEST_BYTES = 128 * MIB
"""Longest manifest of a workspace that the review site reads."""

MAX_METADATA_FILES = 10_000
"""Most logs of a workspace that the review site lists."""

MAX_REGULAR_REQUESTS_BYTES = 1 * MIB
"""Longest file of regular release requests."""

MAX_POLICY_BYTES = 256 * KIB
"""Longest policy file of a backend's review site, in bytes of UTF-8."""

MAX_ANCHOR_FILE_BYTES = 32 * MIB
"""Longest file of the audit chain's anchors that is verified: some 400 years of days."""

MAX_CRATE_BYTES = 128 * GIB
"""Most that the files of a release's crate have together when it is verified."""

MAX_CRATE_ENTRIES = 10_000
"""Most files of a release's crate that is verified."""

MAX_CRATE_METADATA_BYTES = 256 * MIB
"""Longest metadata of a release's crate, as JSON in UTF-8."""

MAX_LOG_END_BYTES = 256 * KIB
"""How much of a log's end is searched for what the agent says of the job."""

MAX_REQUEST_FILES = 5_000
"""Most files of one release request: as many as a release may have."""

MAX_COMMENT_CHARACTERS = 20_000
"""Longest comment on a release request."""

MAX_CONTEXT_CHARACTERS = 50_000
"""Longest context, or description of controls, of a group of files in a release request."""

MAX_SHOWN_BYTES = 16 * MIB
"""Most of a text that the review site shows on its pages, in bytes: as much as a file that is released may have."""

MAX_SHOWN_PIXELS = 50_000_000
"""Most pixels of a picture that the review site hands to a browser as one."""

MAX_PDF_PAGES = 200
"""Most pages of a PDF that the review site draws."""

MAX_PDF_TEXT = 4_000_000
"""Longest text of a PDF that the disclosure rules look at, in characters."""

MAX_PDF_PIXELS = 4_000_000
"""Most pixels of a page that is drawn."""

MAX_PDF_MEMORY_BYTES = GIB
"""Address space of the process that reads a PDF."""

MAX_PDF_SECONDS = 10
"""Processor time of the process that reads a PDF; it is ended after three times as long by the clock."""

MAX_SHOWN_DRAWING_BYTES = 2 * MIB
"""Largest SVG that the review site shows as a picture; a larger one is shown as its text."""
