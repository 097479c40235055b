#!/usr/bin/env bash
# transformers 4.57.3 and 5.24.0 (torch 2.8.0): a world model's encoder saved by one, loaded by the other.
#
# One would guess: world models with a Hugging Face ViT inside (LeWorldModel, as stable-worldmodel 0.1.1 trains and saves it)
# keep their weights as a plain state dict, `torch.save(model.state_dict())`; the class, its configuration and its
# arithmetic are the same in both versions, so what one saves the other loads.
#
# What happens: version 5 has other names for every layer of every block (`encoder.layer.0.attention.attention.query` is
# `layers.0.attention.q_proj`). `from_pretrained` translates them; `load_state_dict` doesn't know of it and refuses. Loaded
# with `strict=False`, as is common for models that are part of another, all blocks keep their random weights, and the only
# sign is the list that it returns: the embeddings and the last norm fit.
#
# Seen (x86_64, Python 3.11): see the expected lines below. `foresight model convert` reads both.
#
# Fails when any of this changes. Needs Python 3.10 and PyPI, about 8 GB in a temporary folder; takes ten minutes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.57.3 5.24.0; do
    python3 -m venv "$folder/$version"
done
"$folder/4.57.3/bin/pip" install -q torch==2.8.0 transformers==4.57.3 "numpy<2.3"
# torch once: the second environment sees the first one's.
"$folder/5.24.0/bin/pip" install -q --no-deps transformers==5.24.0
"$folder/5.24.0/bin/pip" install -q "huggingface-hub>=1" "tokenizers>=0.22" safetensors regex pyyaml tqdm packaging typer \
    "numpy<2.3"
cat > "$folder/vit.py" <<'PY'
import sys

import torch
import transformers
from transformers import ViTConfig, ViTModel

torch.manual_seed(0)
sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
model = ViTModel(ViTConfig(**sizes, image_size=32, patch_size=8), add_pooling_layer=False)
if sys.argv[1] == "save":
    torch.save(model.state_dict(), sys.argv[2])
    print(f"{transformers.__version__}: {len(model.state_dict())} tensors saved")
else:
    saved = torch.load(sys.argv[2])
    try:
        model.load_state_dict(saved)
        print("loaded")
    except RuntimeError:
        print(f"{transformers.__version__}: refused")
    found = model.load_state_dict(saved, strict=False)
    print(f"not strict: {len(found.missing_keys)} of {len(saved)} keep random weights")
    print("fit:", ", ".join(sorted(set(saved) - set(found.unexpected_keys))))
PY
torch_at=$("$folder/4.57.3/bin/python" -c 'import torch, pathlib; print(pathlib.Path(torch.__file__).parent.parent)')
"$folder/4.57.3/bin/python" "$folder/vit.py" save "$folder/vit.pt" > "$folder/seen"
# Behind its own packages, so that transformers is its own.
echo "$torch_at" > "$("$folder/5.24.0/bin/python" -c 'import site; print(site.getsitepackages()[0])')/zz.pth"
"$folder/5.24.0/bin/python" "$folder/vit.py" load "$folder/vit.pt" >> "$folder/seen"
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
4.57.3: 38 tensors saved
5.24.0: refused
not strict: 32 of 38 keep random weights
fit: embeddings.cls_token, embeddings.patch_embeddings.projection.bias, embeddings.patch_embeddings.projection.weight, embeddings.position_embeddings, layernorm.bias, layernorm.weight
EXPECTED
echo "as described"
