//! Reports opened in a browser: complete, quiet, and without a network.
//!
//! Needs a Chromium (`chromium`, `chromium-browser` or `google-chrome`); says so when skipped,
//! and fails where `FORESIGHT_REQUIRE` asks for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn foresight(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{arguments:?}: {errors}"
    );
    output
}

fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
    path.display().to_string()
}

fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok());
    let remedy = "install Chromium (Debian: apt-get install chromium)";
    crate::require::present("chromium", found.is_some(), remedy);
    found
}

/// Quick, so that a missing browser is known before anything is run.
#[test]
fn a_browser_is_here() {
    browser();
}

/// What a page says about itself once it is loaded: every figure with its size and whether it
/// has marks or a decoded picture, and everything that was fetched.
const PROBE: &str = r#"<script>
addEventListener('load', () => {
  const size = e => { const b = e.getBoundingClientRect(); return [b.width, b.height]; };
  const figures = [...document.querySelectorAll('figure')].map(f => {
    const svg = f.querySelector('svg'), images = [...f.querySelectorAll('img')];
    const goals = [...f.querySelectorAll('.pic')];
    return {
      size: size(f), caption: f.innerText.slice(0, 60),
      svg: svg ? { size: size(svg), marks: svg.querySelectorAll('path.line, circle, rect, image').length,
                   empty: [...svg.querySelectorAll('path')].filter(p => !p.getAttribute('d')).length,
                   bad: /NaN|Infinity|undefined/.test(svg.outerHTML.replace(/data:[^"]*/g, '')) } : null,
      images: images.map(i => [i.naturalWidth, ...size(i)]),
      goals: goals.map(g => [getComputedStyle(g).backgroundImage.length, ...size(g)]),
    };
  });
  const seen = {
    figures,
    sections: [...document.querySelectorAll('section')].map(s => s.id),
    text: document.body.innerText.slice(0, 4000),
    resources: performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:')),
    width: [document.documentElement.scrollWidth, innerWidth],
  };
  const out = document.createElement('script'); out.type = 'application/json'; out.id = 'probe';
  out.textContent = JSON.stringify(seen).replaceAll('<', ' ');
  document.body.append(out);
});
</script>"#;

/// Opens a page with the probe in it; returns what the probe saw.
fn look(browser: &str, page: &Path, width: u32, dark: bool) -> Value {
    let folder = page.parent().expect("a folder");
    let probed = folder.join(format!("probed-{width}-{dark}.html"));
    let html = std::fs::read_to_string(page).expect("the page");
    std::fs::write(&probed, html.replace("</body>", &format!("{PROBE}</body>"))).expect("written");
    let profile = tempfile::tempdir().expect("a folder");
    let net_log = profile.path().join("net.json");
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--dump-dom"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000"])
        .arg(format!("--window-size={width},900"))
        .arg(format!(
            "--user-data-dir={}",
            profile.path().join("p").display()
        ))
        .arg(format!("--log-net-log={}", net_log.display()));
    if dark {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    let output = command
        .arg(format!("file://{}", probed.display()))
        .output()
        .expect("the browser starts");
    std::fs::remove_file(&probed).expect("removed");
    let errors = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = errors.lines().filter(|l| l.contains(":CONSOLE")).collect();
    assert!(console.is_empty(), "{console:#?}");
    let dom = String::from_utf8_lossy(&output.stdout);
    let seen = dom
        .split("id=\"probe\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next())
        .unwrap_or_else(|| panic!("the page never finished loading: {errors}"));
    let network = std::fs::read_to_string(&net_log).unwrap_or_default();
    for wire in ["\"url\":\"http://", "\"url\":\"https://"] {
        let asked: Vec<&str> = network
            .match_indices(wire)
            .map(|(at, _)| network[at..].split('"').nth(3).unwrap_or_default())
            // The browser's own business, whatever page is open.
            .filter(|url| !url.contains("google"))
            .collect();
        assert!(asked.is_empty(), "{asked:?}");
    }
    serde_json::from_str(seen).expect("JSON")
}

/// Checks every figure; returns how many have an SVG.
fn check(seen: &Value, page: &Path) -> usize {
    let number = |v: &Value| v.as_f64().unwrap_or(0.0);
    assert_eq!(
        seen["resources"],
        serde_json::json!([]),
        "something was fetched"
    );
    let [content, window] = [number(&seen["width"][0]), number(&seen["width"][1])];
    assert!(
        content <= window,
        "{}: {content} px wide in {window}",
        page.display()
    );
    let figures = seen["figures"].as_array().expect("figures");
    let mut charts = 0;
    for figure in figures {
        let (wide, high) = (number(&figure["size"][0]), number(&figure["size"][1]));
        assert!(wide > 60.0 && high > 40.0, "{figure}");
        let mut filled = false;
        if figure["svg"].is_object() {
            let svg = &figure["svg"];
            assert!(
                number(&svg["size"][0]) > 100.0 && number(&svg["size"][1]) > 30.0,
                "{figure}"
            );
            assert!(number(&svg["marks"]) > 0.0, "an empty figure: {figure}");
            assert_eq!(
                (&svg["empty"], &svg["bad"]),
                (&0.into(), &false.into()),
                "{figure}"
            );
            charts += 1;
            filled = true;
        }
        for picture in figure["images"].as_array().expect("pictures") {
            assert!(
                number(&picture[0]) > 0.0,
                "a picture that isn't one: {figure}"
            );
            assert!(
                number(&picture[1]) > 40.0 && number(&picture[2]) > 40.0,
                "{figure}"
            );
            filled = true;
        }
        for goal in figure["goals"].as_array().expect("goals") {
            assert!(
                number(&goal[0]) > 200.0 && number(&goal[1]) > 40.0,
                "{figure}"
            );
            filled = true;
        }
        assert!(filled, "an empty figure: {figure}");
    }
    charts
}

fn nothing_external(page: &Path) {
    let html = std::fs::read_to_string(page).expect("the page");
    for needle in [
        "src=\"http",
        "href=\"http",
        "url(http",
        "@import",
        "<script",
        "//fonts",
    ] {
        assert!(!html.contains(needle), "{}: {needle}", page.display());
    }
}

#[test]
fn the_report_of_a_pick_and_place_run_is_complete_in_a_browser() {
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().display().to_string();
    let scenario = scenario("pick_and_place");
    foresight(&[
        "run",
        &scenario,
        "--seed",
        "900003",
        "--virtual-time",
        "--samples",
        "60",
        "--iterations",
        "4",
        "--out",
        &path,
    ]);
    let run = only_folder(out.path());
    let page = run.join("report.html");
    nothing_external(&page);
    let size = std::fs::metadata(&page).expect("the page").len();
    assert!(size < 3_000_000, "{size} bytes");
    let Some(browser) = browser() else { return };
    for (width, dark) in [(1180, false), (1180, true), (390, false)] {
        let seen = look(browser, &page, width, dark);
        let sections = ["warnings", "film", "course", "decisions", "scenario"];
        assert_eq!(seen["sections"], serde_json::json!(sections));
        let charts = check(&seen, &page);
        let steps = std::fs::read_to_string(run.join("plan.jsonl")).expect("steps");
        let steps = steps.lines().count();
        // Six along the episode, three for each decision; four pictures and a map of the surprise for each,
        // one in the film.
        assert_eq!(charts, 6 + 3 * steps);
        let figures = seen["figures"].as_array().expect("figures").len();
        assert_eq!(figures, charts + 5 * steps + steps + 1);
        let text = seen["text"].as_str().expect("text");
        assert!(
            text.contains("pick_and_place") && text.contains("seed 900003"),
            "{text}"
        );
    }
}

#[test]
fn the_page_over_an_evaluation_is_complete_in_a_browser() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().join("eval");
    let path = folder.display().to_string();
    let grasp = scenario("grasp");
    // The oracle with far too small a search succeeds sometimes.
    foresight(&[
        "eval",
        &grasp,
        "--world",
        "oracle",
        "--samples",
        "12",
        "--iterations",
        "2",
        "--episodes",
        "6",
        "--seed",
        "900100",
        "--out",
        &path,
    ]);
    let page = folder.join("index.html");
    nothing_external(&page);
    let json = std::fs::read_to_string(folder.join("evaluation.json")).expect("numbers");
    let numbers: Value = serde_json::from_str(&json).expect("JSON");
    let html = std::fs::read_to_string(&page).expect("the page");
    for run in numbers["runs"].as_array().expect("runs") {
        let link = format!(
            "seed-{:06}/report.html",
            run["seed"].as_u64().expect("a seed")
        );
        assert!(
            html.contains(&link) && folder.join(&link).exists(),
            "{link}"
        );
    }
    let Some(browser) = browser() else { return };
    for (width, dark) in [(1180, true), (390, false)] {
        let seen = look(browser, &page, width, dark);
        assert!(check(&seen, &page) >= 1);
        let figures = seen["figures"].as_array().expect("figures");
        assert!(figures.len() >= 2, "no strip");
        let text = seen["text"].as_str().expect("text");
        let counted = format!("{} of 6", numbers["successes"]);
        assert!(text.contains(&counted), "{text}");
    }
    let episode = folder.join("seed-900100/report.html");
    check(&look(browser, &episode, 1180, false), &episode);
}

fn only_folder(root: &Path) -> PathBuf {
    let mut folders = std::fs::read_dir(root)
        .expect("a folder")
        .map(|e| e.expect("an entry").path());
    folders.next().expect("a run folder")
}
