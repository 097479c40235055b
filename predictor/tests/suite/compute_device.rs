//! Names of devices, and devices that are not there.

use foresight_predictor::ComputeDevice;

#[test]
fn devices_are_written_as_they_are_read() {
    for text in ["cpu", "cuda:0", "cuda:12", "candle-cpu"] {
        assert_eq!(text.parse::<ComputeDevice>().unwrap().to_string(), text);
    }
    assert_eq!("cuda".parse(), Ok(ComputeDevice::Cuda(0)));
    for text in ["", "gpu", "cuda:", "cuda:+1", "cuda:-1", "cuda:1 ", "CPU"] {
        let error = text.parse::<ComputeDevice>().unwrap_err();
        assert!(error.contains("cuda:N"), "{error}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_that_says_what_to_do() {
    // Far beyond what any machine has: with the feature no GPU answers either.
    let error = ComputeDevice::Cuda(1000).open().unwrap_err().to_string();
    assert!(error.starts_with("cuda:1000: "), "{error}");
    assert!(error.contains("compute on `cpu`"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
